/**
 * The raw front: our own HTTP/1.1 on a Deno listener. What accepts, counts and ends connections is in
 * acceptor.ts; what happens on one is in raw_connection.ts.
 *
 * Invariant: a draining front gives idle connections one second and everything else its budget.
 */

import { Acceptor } from "./acceptor.ts";
import type { Handler } from "./exchange.ts";
import type { Front, FrontHost, FrontOptions } from "./front.ts";
import type { Leftovers } from "./leftovers.ts";
import type { BoundPlace } from "./listen.ts";
import { RawConnection, type Shared } from "./raw_connection.ts";
import type { Sweeper } from "./sweeper.ts";

/** See the file's comment. */
export class RawFront implements Front, Shared {
  readonly address: { hostname: string; port: number; path?: string };
  requests = 0;
  served = 0;
  readonly sweeper: Sweeper;
  readonly leftovers: Leftovers;
  readonly #acceptor: Acceptor<RawConnection>;

  constructor(
    place: BoundPlace,
    readonly handler: Handler,
    public options: FrontOptions,
    readonly host: FrontHost,
  ) {
    this.address = place.address;
    const acceptor = this.#acceptor = new Acceptor<RawConnection>(place, "http", host);
    this.sweeper = acceptor.sweeper;
    this.leftovers = acceptor.leftovers;
    acceptor.accept((conn) => new RawConnection(conn, this));
  }

  get closed(): Promise<void> {
    return this.#acceptor.closed;
  }

  get connections(): number {
    return this.#acceptor.connections.size;
  }

  get drainingSince(): number | undefined {
    return this.#acceptor.drainingSince;
  }

  configure(options: FrontOptions): void {
    this.options = options;
  }

  drain(ms: number): Promise<{ cut: number }> {
    return this.#acceptor.drain(ms, (connection) => connection.end());
  }

  cut(): void {
    this.#acceptor.cut();
  }
}
