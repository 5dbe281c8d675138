/**
 * The frames by which the two sides steer each other, by name.
 *
 * Invariant: what we say to a worker is exactly what the original says; a stream's pong and stop are no
 * control frames and have no options.
 */

import { Bit, Flag } from "./codes.ts";
import type { OutFrame } from "./relay.ts";

const utf8 = new TextEncoder();

/** Ends the worker, once it has nothing else to do. */
export const STOP: OutFrame = {
  flags: Flag.control | Flag.json,
  parts: [utf8.encode('{"stop":true}')],
};

/** The answer to a frame that has the ping bit. */
export const PONG: OutFrame = { flags: 0, bits: Bit.pong };

/** Nobody wants the rest of the current stream. */
export const STREAM_STOP: OutFrame = { flags: 0, bits: Bit.stop };

/** Asks a worker that waits for work who it is. */
export function askPid(ours: number): OutFrame {
  return { flags: Flag.control | Flag.json, parts: [utf8.encode(`{"pid":${ours}}`)] };
}
