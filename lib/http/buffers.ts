/**
 * Large buffers for bodies, lent out and taken back, so that thousands of idle connections hold
 * small ones only.
 *
 * Invariant: at most `KEPT` buffers are kept for later; a buffer with a read pending on it is never
 * given back.
 */

import { WINDOW_ROOM } from "./exchange.ts";

/** Room for 64 KiB of data. */
export const LARGE = 65_536 + 2 * WINDOW_ROOM;
const KEPT = 64;

const kept: Uint8Array[] = [];

/** A buffer of `LARGE` bytes; its content is arbitrary. */
export function takeBuffer(): Uint8Array {
  return kept.pop() ?? new Uint8Array(LARGE);
}

/** Gives a buffer back. Others than large ones are left to the garbage collector. */
export function giveBuffer(buffer: Uint8Array): void {
  if (buffer.length === LARGE && kept.length < KEPT) kept.push(buffer);
}
