/**
 * UTF-8 of bytes that somebody else wrote: PHP's JSON parser and protobuf's strings throw at anything
 * else, and a worker that throws is lost.
 *
 * Invariant: what comes out is valid UTF-8; a byte that belongs to no valid sequence becomes U+FFFD,
 * everything else stays as it is.
 */

/** U+FFFD. */
export const REPLACEMENT = new Uint8Array([0xef, 0xbf, 0xbd]);

/** Length of the valid sequence that begins at `p`; 0: there is none. */
export function sequence(bytes: Uint8Array, p: number, end: number): number {
  const c = bytes[p];
  if (c < 0x80) return 1;
  if (c < 0xc2 || c > 0xf4) return 0;
  const length = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  if (p + length > end) return 0;
  // The second byte also keeps out overlong forms, surrogates and what is beyond Unicode.
  const second = bytes[p + 1];
  const least = c === 0xe0 ? 0xa0 : c === 0xf0 ? 0x90 : 0x80;
  const most = c === 0xed ? 0x9f : c === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let k = 2; k < length; k++) if ((bytes[p + k] & 0xc0) !== 0x80) return 0;
  return length;
}

/** A copy of `bytes[start, end)` as valid UTF-8. */
export function validUtf8(bytes: Uint8Array, start: number, end: number): Uint8Array {
  let p = start;
  while (p < end && bytes[p] < 0x80) p++;
  if (p === end) return bytes.slice(start, end);
  const out = new Uint8Array(3 * (end - start));
  let at = 0;
  for (p = start; p < end;) {
    const length = sequence(bytes, p, end);
    if (length === 0) {
      out.set(REPLACEMENT, at);
      at += REPLACEMENT.length;
      p++;
    } else {
      for (const stop = p + length; p < stop; p++) out[at++] = bytes[p];
    }
  }
  return out.subarray(0, at);
}
