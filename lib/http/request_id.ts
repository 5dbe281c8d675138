/**
 * Request ids: 128 random bits as 32 hex digits.
 *
 * Invariant: ids cannot be guessed from earlier ones; randomness is fetched in blocks because one
 * call per request would cost more than the rest of the head.
 */

const ID_BYTES = 16;
const BLOCK = 4096;
const HEX = new TextEncoder().encode("0123456789abcdef");

const block = new Uint8Array(BLOCK);
let used = BLOCK;

/** Writes a new id. @returns the position after it. */
export function putRequestId(into: Uint8Array, at: number): number {
  if (used === BLOCK) {
    crypto.getRandomValues(block);
    used = 0;
  }
  for (const stop = used + ID_BYTES; used < stop; used++) {
    into[at++] = HEX[block[used] >> 4];
    into[at++] = HEX[block[used] & 15];
  }
  return at;
}
