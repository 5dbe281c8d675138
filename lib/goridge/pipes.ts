/**
 * The relay over a child's stdin and stdout.
 *
 * Invariant: the child's streams are the relay's from now on; closing it ends both.
 */

import type { Clock } from "../core/clock.ts";
import type { PipedChild } from "../os/system.ts";
import type { Relay } from "./relay.ts";
import { StreamRelay } from "./stream_relay.ts";

/** Frames over the pipes of a child. */
export function pipesRelay(child: PipedChild, clock: Clock): Relay {
  return new StreamRelay(
    {
      readable: child.stdout as ReadableStream<Uint8Array<ArrayBuffer>>,
      writable: child.stdin,
      printed: "the worker printed to stdout",
      closed: "the worker closed its stdout",
    },
    clock,
  );
}
