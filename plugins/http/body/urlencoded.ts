/**
 * Bodies of `application/x-www-form-urlencoded`, read as PHP reads them.
 *
 * Invariant: whatever the bytes are, they make fields: a `%` without two digits stands for itself,
 * bytes that are not UTF-8 become U+FFFD.
 */

import { BodyBroken } from "../../../lib/http/mod.ts";

/** Fields of one body; PHP itself takes 1,000 unless told otherwise. */
export const MOST_FIELDS = 10_000;

const AMPERSAND = 38;
const EQUALS = 61;
const PERCENT = 37;
const PLUS = 43;
const SPACE = 32;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Calls `field` for each pair, in their order. Decodes in place: `bytes` are used up by it.
 *
 * @throws BodyBroken when there are too many; and what `field` throws
 */
export function readUrlencoded(
  bytes: Uint8Array,
  field: (name: string, value: string) => void,
): void {
  let count = 0;
  for (let start = 0; start < bytes.length;) {
    let end = bytes.indexOf(AMPERSAND, start);
    if (end < 0) end = bytes.length;
    if (end > start) {
      if (++count > MOST_FIELDS) throw tooManyFields();
      const equals = bytes.subarray(start, end).indexOf(EQUALS);
      const split = equals < 0 ? end : start + equals;
      field(decoded(bytes, start, split), split < end ? decoded(bytes, split + 1, end) : "");
    }
    start = end + 1;
  }
}

/** The refusal of a form with more than {@linkcode MOST_FIELDS} fields. */
export function tooManyFields(): BodyBroken {
  return new BodyBroken(`the form has more than ${MOST_FIELDS} fields`, 413);
}

function decoded(bytes: Uint8Array, start: number, end: number): string {
  let to = start;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === PERCENT && at + 2 < end) {
      const code = hex(bytes[at + 1]) * 16 + hex(bytes[at + 2]);
      if (code >= 0) {
        bytes[to++] = code;
        at += 2;
        continue;
      }
    }
    bytes[to++] = byte === PLUS ? SPACE : byte;
  }
  return utf8.decode(bytes.subarray(start, to));
}

/** The value of a hexadecimal digit; far below zero when it is none. */
function hex(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 0x20;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1000;
}
