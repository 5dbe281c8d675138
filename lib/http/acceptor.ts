/**
 * What accepts on a listener, and the connections that came of it, whatever they speak.
 *
 * | state    | accepts | connections     | ends when               |
 * | -------- | ------- | --------------- | ----------------------- |
 * | open     | yes     | live on         | drain() or cut()        |
 * | draining | no      | finish          | none is left, or deadline |
 * | closed   | no      | none            | –                       |
 *
 * Invariant: a failing accept never ends it while it is open (lib/core/accept.ts). Nothing that a client does (or does not, in a TLS handshake) delays the next accept.
 */

import { acceptAll } from "../core/accept.ts";
import { messageOf } from "../core/failure.ts";
import type { FrontHost } from "./front.ts";
import { Leftovers } from "./leftovers.ts";
import type { BoundPlace } from "./listen.ts";
import { Sweeper, type Watched } from "./sweeper.ts";

/** While draining, what is in the kernel's queue is still taken; closing would reset it. */
const LAST_ACCEPTS_MS = 20;

/** A connection that was accepted. */
export interface Accepted extends Watched {
  /** Serves it until its end. Never rejects. */
  run(): Promise<void>;
  /** Ends it now. */
  end(): void;
}

/** See the file's comment. */
export class Acceptor<C extends Accepted> {
  readonly sweeper: Sweeper;
  readonly leftovers: Leftovers;
  /** Resolves when the listener and the last connection are closed. */
  readonly closed: Promise<void>;
  /** Clock milliseconds since which it drains. */
  drainingSince: number | undefined;

  readonly #place: BoundPlace;
  readonly #name: string;
  readonly #host: FrontHost;
  readonly #connections = new Set<C>();
  readonly #close = Promise.withResolvers<void>();
  #listening = true;

  /** `name`: what speaks there, for errors; it accepts from accept() on. */
  constructor(place: BoundPlace, name: string, host: FrontHost) {
    this.#place = place;
    this.#name = name;
    this.#host = host;
    this.sweeper = new Sweeper(host.clock);
    this.leftovers = new Leftovers(this.sweeper, place.address.port);
    this.closed = this.#close.promise;
  }

  get connections(): ReadonlySet<C> {
    return this.#connections;
  }

  /** Begins. `welcome` makes the connection; undefined: it did not want it, and has closed it. */
  async accept(welcome: (conn: Deno.Conn) => C | undefined): Promise<void> {
    const { clock, emit } = this.#host;
    const where = `${this.#name} accept`;
    await acceptAll({
      clock,
      open: () => this.#listening,
      next: () => this.#place.listener.accept(),
      take: (conn) => {
        const connection = welcome(conn);
        if (connection !== undefined) this.#serve(connection);
      },
      failed: (error) => emit("internal_error", { where, error: messageOf(error) }),
    });
    this.#settle();
  }

  /**
   * Takes no more connections and waits for the end of those there are; `last` is done to each that is
   * left after `ms` milliseconds. @returns how many that were
   */
  async drain(ms: number, last: (connection: C) => void): Promise<{ cut: number }> {
    const { clock } = this.#host;
    if (this.drainingSince === undefined) {
      this.drainingSince = clock.now();
      clock.timer(Math.min(LAST_ACCEPTS_MS, ms), () => this.#stopListening());
    }
    let cut = 0;
    const timer = clock.timer(ms, () => {
      cut = this.#connections.size;
      this.#stopListening();
      for (const connection of [...this.#connections]) last(connection);
    });
    await this.closed;
    timer.cancel();
    return { cut };
  }

  /** Ends everything now. */
  cut(): void {
    this.drainingSince ??= this.#host.clock.now();
    this.#stopListening();
    for (const connection of [...this.#connections]) connection.end();
  }

  #serve(connection: C): void {
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
      const where = `${this.#name} close`;
      this.#host.emit("internal_error", { where, error: messageOf(error) });
    }
  }

  #settle(): void {
    if (this.#listening || this.#connections.size > 0) return;
    this.leftovers.flush();
    this.#close.resolve();
  }
}
