/**
 * Byte tables and small text pieces of HTTP/1.1 syntax (RFC 9110, 9112).
 *
 * Invariant: text here is Latin-1, one byte per character, so what came in as bytes goes out as the
 * same bytes.
 */

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const HTAB = 9;
export const COLON = 58;

/** Bytes of a field name or method (RFC 9110, 5.6.2). */
export const TOKEN = table("!#$%&'*+-.^_`|~0-9A-Za-z");
/** Bytes of a line: visible, space, tab, and 0x80 up (RFC 9110, 5.5). No other control byte. */
export const LINE = lineTable();
/** Bytes of a host with port (RFC 3986, 3.2.2), without the comma: lists must not form. */
export const HOST = table("!$&'()*+;=._~%:[]0-9A-Za-z-");

function lineTable(): Uint8Array {
  const out = new Uint8Array(256);
  out.fill(1, 0x20);
  out[HTAB] = 1;
  out[0x7f] = 0;
  return out;
}

/** A table of single characters and `a-z` ranges; a `-` at the end is itself. */
function table(set: string): Uint8Array {
  const out = new Uint8Array(256);
  for (let i = 0; i < set.length; i++) {
    const from = set.charCodeAt(i);
    const range = /[0-9A-Za-z]/.test(set[i]) && set[i + 1] === "-" && i + 2 < set.length;
    const to = range ? set.charCodeAt(i + 2) : from;
    out.fill(1, from, to + 1);
    if (range) i += 2;
  }
  return out;
}

/** Latin-1 bytes of a text; characters beyond become `?`. */
export function latin1(text: string): Uint8Array {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    out[i] = code < 256 ? code : 63;
  }
  return out;
}

/** The text of Latin-1 bytes. */
export function text(bytes: Uint8Array, start: number, end: number): string {
  let out = "";
  for (let at = start; at < end; at += 4096) {
    out += String.fromCharCode.apply(
      null,
      bytes.subarray(at, Math.min(end, at + 4096)) as unknown as number[],
    );
  }
  return out;
}

/** True when `bytes[start, end)` is `word` (given in lower case), in any letter case. */
export function sameWord(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    let c = bytes[start + i];
    if (c >= 65 && c <= 90) c |= 0x20;
    if (c !== word[i]) return false;
  }
  return true;
}

/** Copies `bytes[start, end)` into `into` at `at`. @returns the position after it. */
export function copy(
  into: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  // Up to some hundred bytes a plain loop beats the two objects a subarray copy makes.
  if (end - start <= 128) {
    for (let i = start; i < end; i++) into[at++] = bytes[i];
    return at;
  }
  into.set(bytes.subarray(start, end), at);
  return at + end - start;
}

/** Copies a whole piece. @returns the position after it. */
export function put(into: Uint8Array, at: number, piece: Uint8Array): number {
  return copy(into, at, piece, 0, piece.length);
}
