/**
 * A client connection of the raw front that left HTTP.
 *
 * Invariant: every byte after the request's head is read once and in order, whether it was read ahead
 * or is still to come.
 */

import type { ByteTunnel } from "./exchange.ts";
import type { Inbox } from "./inbox.ts";
import type { Wire } from "./wire.ts";

/** The raw bytes of a connection: first what was read ahead, then the socket. */
export class RawTunnel implements ByteTunnel {
  readonly #inbox: Inbox;
  readonly #wire: Wire;

  constructor(inbox: Inbox, wire: Wire) {
    this.#inbox = inbox;
    this.#wire = wire;
  }

  async read(into: Uint8Array): Promise<number> {
    const inbox = this.#inbox;
    if (inbox.empty && inbox.pending !== undefined) {
      const count = await inbox.pending;
      if (count <= 0) return count;
    }
    if (inbox.empty) return inbox.readInto(into);
    const count = Math.min(into.length, inbox.to - inbox.from);
    into.set(inbox.bytes.subarray(inbox.from, inbox.from + count));
    inbox.from += count;
    return count;
  }

  write(bytes: Uint8Array, start: number, end: number): Promise<boolean> {
    return this.#wire.write(bytes, start, end);
  }

  closeWrite(): Promise<void> {
    return this.#wire.closeWrite();
  }

  close(): void {
    this.#wire.close();
  }
}
