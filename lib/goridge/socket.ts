/**
 * The relay over an accepted connection, TCP or Unix.
 *
 * Invariant: the connection is the relay's from now on, and closes with it. (A write that the peer does
 * not take keeps the descriptor until the peer goes, which a worker does when it is killed; nobody waits
 * for that.)
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
  const { readable, writable } = connection;
  const printed = `${peer} sent what is no frame`;
  const closed = `${peer} closed its connection`;
  const lags = connection.localAddr.transport === "tcp";
  return new StreamRelay({ readable, writable, printed, closed, lags }, clock, maxPayload);
}
