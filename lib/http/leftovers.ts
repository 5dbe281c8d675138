/**
 * Connections that were closed while their client was still there: the runtime goes on holding the
 * socket for as long as the client takes no bytes or, with TLS, finishes no handshake.
 *
 * Invariant: no socket of a closed connection is held longer than `FAREWELL_MS` and one tick, or
 * after flush().
 */

import { type Ends, shutDown } from "../os/own_sockets.ts";
import type { ClientAddress } from "./exchange.ts";
import { parseAddress } from "./networks.ts";
import type { Sweeper, Watched } from "./sweeper.ts";

/** Time for the last bytes on their way, and for the client to take note of the end. */
const FAREWELL_MS = 1000;

/** Closed connections of one front whose sockets may still be there. */
export class Leftovers implements Watched {
  #waiting: { ends: Ends; since: number }[] = [];

  /** `localPort`: where the front listens. */
  constructor(readonly sweeper: Sweeper, readonly localPort: number) {}

  /** Takes note of a connection that was closed before its client had ended. */
  add(client: ClientAddress): void {
    const remote = parseAddress(client.address);
    if (remote === undefined) return;
    const ends = { localPort: this.localPort, remotePort: client.port, remote };
    this.#waiting.push({ ends, since: this.sweeper.now });
    this.sweeper.add(this);
  }

  sweep(now: number): void {
    const due = this.#waiting.findIndex(({ since }) => now - since < FAREWELL_MS);
    this.#end(due < 0 ? this.#waiting.length : due);
  }

  /** Ends all of them now. */
  flush(): void {
    this.#end(this.#waiting.length);
  }

  /** They are in the order of their closing. */
  #end(count: number): void {
    if (count > 0) shutDown(this.#waiting.splice(0, count).map(({ ends }) => ends));
    if (this.#waiting.length === 0) this.sweeper.delete(this);
  }
}
