/**
 * The cookies of a request, as PHP programs get them: values percent-decoded.
 *
 * Invariant: the last of equal names wins; what cannot be decoded is left out, and never anything
 * else with it.
 */

import type { RequestHead } from "../../lib/http/mod.ts";
import type { Grouped } from "./grouped.ts";

const QUOTE = 0x22;
const PERCENT = 0x25;
const PLUS = 0x2b;

/** Names (ASCII) and decoded values of all Cookie fields. */
export function cookiesOf(head: RequestHead, grouped: Grouped): Map<string, Uint8Array> {
  const cookies = new Map<string, Uint8Array>();
  for (let i = grouped.cookie; i >= 0; i = grouped.next(i)) {
    for (const pair of head.value(i).split(";")) {
      const equals = pair.indexOf("=");
      if (equals < 0) continue;
      const name = pair.slice(0, equals).trim();
      if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) continue;
      const value = decoded(pair.slice(equals + 1).trim());
      if (value !== undefined) cookies.set(name, value);
    }
  }
  return cookies;
}

/** The bytes of a value (Latin-1 text); undefined: a `%` without two hex digits. */
function decoded(text: string): Uint8Array | undefined {
  let start = 0;
  let end = text.length;
  if (end >= 2 && text.charCodeAt(0) === QUOTE && text.charCodeAt(end - 1) === QUOTE) {
    start++;
    end--;
  }
  const out = new Uint8Array(end - start);
  let at = 0;
  for (let p = start; p < end; p++) {
    const c = text.charCodeAt(p);
    if (c === PERCENT) {
      const hex = text.slice(p + 1, Math.min(p + 3, end));
      if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return undefined;
      out[at++] = parseInt(hex, 16);
      p += 2;
    } else {
      out[at++] = c === PLUS ? 0x20 : c;
    }
  }
  return out.subarray(0, at);
}
