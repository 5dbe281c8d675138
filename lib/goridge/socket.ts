/**
 * The relay over an accepted connection, TCP or Unix.
 *
 * Invariant: the connection is the relay's from now on; closing the relay closes it, whatever is under
 * way on it.
 */

import type { Clock } from "../core/clock.ts";
import type { Relay } from "./relay.ts";
import { StreamRelay } from "./stream_relay.ts";

/**
 * Frames over a connection.
 *
 * @param peer who is at the other end, for people
 * @param maxPayload larger frames are refused
 */
export function socketRelay(
  connection: Deno.Conn,
  clock: Clock,
  peer = "the worker",
  maxPayload?: number,
): Relay {
  return new SocketRelay(connection, clock, peer, maxPayload);
}

class SocketRelay extends StreamRelay {
  readonly #connection: Deno.Conn;

  constructor(connection: Deno.Conn, clock: Clock, peer: string, maxPayload?: number) {
    const { readable, writable } = connection;
    const printed = `${peer} sent what is no frame`;
    super(
      { readable, writable, printed, closed: `${peer} closed its connection` },
      clock,
      maxPayload,
    );
    this.#connection = connection;
  }

  override close(): void {
    super.close();
    try {
      // Also ends a write that the peer does not take.
      this.#connection.close();
    } catch (error) {
      // The streams have closed it already.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}
