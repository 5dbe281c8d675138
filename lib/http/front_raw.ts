/**
 * The raw front: our own HTTP/1.1 on a Deno listener. It accepts, counts and ends connections; what
 * happens on one is in raw_connection.ts.
 *
 * | state    | accepts | connections                            | ends when                 |
 * | -------- | ------- | -------------------------------------- | ------------------------- |
 * | open     | yes     | live on                                | drain() or cut()          |
 * | draining | no      | last answer; idle ones get one second  | none is left, or deadline |
 * | closed   | no      | none                                   | –                         |
 *
 * Invariant: a failing accept never ends the front while it is open; it is told, and tried again
 * after a pause. Nothing that a client does (or does not, in a TLS handshake) delays the next accept.
 */

import { type Clock, sleep, type Timer } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import type { Handler } from "./exchange.ts";
import type { Front, FrontHost, FrontOptions } from "./front.ts";
import { Leftovers } from "./leftovers.ts";
import type { BoundPlace } from "./listen.ts";
import { RawConnection, type Shared } from "./raw_connection.ts";
import { Sweeper } from "./sweeper.ts";

/** Pause after a failed accept (no descriptors left is the usual reason). */
const ACCEPT_PAUSE_MS = 100;
/** A draining front still takes what is in the kernel's queue; closing would reset it. */
const LAST_ACCEPTS_MS = 20;

export class RawFront implements Front, Shared {
  readonly sweeper: Sweeper;
  readonly leftovers: Leftovers;
  readonly address: { hostname: string; port: number; path?: string };
  readonly closed: Promise<void>;
  drainingSince: number | undefined;
  requests = 0;
  served = 0;

  readonly #place: BoundPlace;
  readonly #connections = new Set<RawConnection>();
  readonly #close = Promise.withResolvers<void>();
  #listening = true;

  constructor(
    place: BoundPlace,
    readonly handler: Handler,
    public options: FrontOptions,
    readonly host: FrontHost,
  ) {
    this.#place = place;
    this.sweeper = new Sweeper(host.clock);
    this.closed = this.#close.promise;
    this.address = place.address;
    this.leftovers = new Leftovers(this.sweeper, place.address.port);
    this.#accept();
  }

  get connections(): number {
    return this.#connections.size;
  }

  configure(options: FrontOptions): void {
    this.options = options;
  }

  async drain(ms: number): Promise<{ cut: number }> {
    const { clock } = this.host;
    if (this.drainingSince === undefined) {
      this.drainingSince = clock.now();
      clock.timer(Math.min(LAST_ACCEPTS_MS, ms), () => this.#stopListening());
    }
    let cut = 0;
    const timer: Timer = clock.timer(ms, () => {
      cut = this.#connections.size;
      this.cut();
    });
    await this.closed;
    timer.cancel();
    return { cut };
  }

  cut(): void {
    this.drainingSince ??= this.host.clock.now();
    this.#stopListening();
    for (const connection of [...this.#connections]) connection.end();
  }

  async #accept(): Promise<void> {
    const clock: Clock = this.host.clock;
    while (this.#listening) {
      try {
        const conn = await this.#place.listener.accept();
        this.#serve(conn);
      } catch (error) {
        if (!this.#listening) break;
        this.host.emit("internal_error", { where: "http accept", error: messageOf(error) });
        await sleep(clock, ACCEPT_PAUSE_MS);
      }
    }
    this.#settle();
  }

  #serve(conn: Deno.Conn): void {
    const connection = new RawConnection(conn, this);
    this.#connections.add(connection);
    this.sweeper.add(connection);
    connection.run().then(() => {
      this.#connections.delete(connection);
      this.sweeper.delete(connection);
      this.#settle();
    });
  }

  #stopListening(): void {
    if (!this.#listening) return;
    this.#listening = false;
    try {
      this.#place.close();
    } catch (error) {
      this.host.emit("internal_error", { where: "http close", error: messageOf(error) });
    }
  }

  #settle(): void {
    if (this.#listening || this.#connections.size > 0) return;
    this.leftovers.flush();
    this.#close.resolve();
  }
}
