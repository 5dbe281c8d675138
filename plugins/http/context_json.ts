/**
 * The JSON form of a request's context, the one that every PHP package understands.
 *
 * Invariant: valid JSON in valid UTF-8, all keys in RoadRunner's order, written from the bytes of the
 * head without making strings of them.
 */

import { text } from "../../lib/http/bytes.ts";
import { remoteOf, type RequestHead } from "../../lib/http/mod.ts";
import type { Asked } from "./context.ts";
import { cookiesOf } from "./cookies.ts";
import { Grouped } from "./grouped.ts";
import { putQuery, putUri, uriRoom } from "./uri.ts";
import { REPLACEMENT, sequence } from "./utf8.ts";

const encoder = new TextEncoder();
const piece = (text: string) => encoder.encode(text);

const REMOTE = piece(`{"remoteAddr":"`);
const PROTOCOL = [
  piece(`","protocol":"HTTP/1.0","method":"`),
  piece(`","protocol":"HTTP/1.1","method":"`),
];
const URI = piece(`","uri":"`);
const HEADERS = piece(`","headers":{`);
const COOKIES = piece(`},"cookies":{`);
const QUERY = piece(`},"rawQuery":"`);
const PARSED = [piece(`","parsed":false,"uploads":`), piece(`","parsed":true,"uploads":`)];
const NULL = piece("null");
const LAST = piece(`,"attributes":{}}`);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const HEX = piece("0123456789abcdef");
/** Bytes that stand for themselves in a JSON string. */
const PLAIN = new Uint8Array(256).fill(1, 0x20, 0x80);
PLAIN[QUOTE] = PLAIN[BACKSLASH] = 0;

/** One byte of a value becomes six at most, and a cookie stands in it twice. */
const MOST_GROWTH = 12;
/** URI and query, each with quotes and backslashes escaped. */
const URI_GROWTH = 4;
/** More than all fixed text, without addresses. */
const EXTRA = 512;
/** Contexts are built here and copied out; a larger buffer is not kept. */
const KEPT = 131_072;
let scratch = new Uint8Array(16_384);
const grouped = new Grouped();

/** The context as bytes. */
export function jsonContext(asked: Asked): Uint8Array {
  const { head } = asked;
  const remote = piece(remoteOf(asked.client));
  const uploads = asked.uploads === null ? NULL : piece(asked.uploads);
  const room = MOST_GROWTH * head.size + URI_GROWTH * uriRoom(asked) + uploads.length + EXTRA;
  const into = room <= scratch.length ? scratch : new Uint8Array(room);
  if (room <= KEPT) scratch = into;
  grouped.group(head);
  let at = put(into, 0, REMOTE);
  at = putText(into, at, remote, 0, remote.length);
  at = put(into, at, PROTOCOL[head.minor]);
  at = putText(into, at, head.bytes, head.methodStart, head.methodEnd);
  at = put(into, at, URI);
  at = escapeFrom(into, at, putUri(into, at, asked));
  at = put(into, at, HEADERS);
  at = putHeaders(into, at, head);
  at = put(into, at, COOKIES);
  if (grouped.cookie >= 0) at = putCookies(into, at, head);
  at = put(into, at, QUERY);
  at = escapeFrom(into, at, putQuery(into, at, asked));
  at = put(into, at, PARSED[asked.parsed ? 1 : 0]);
  at = put(into, at, uploads);
  at = put(into, at, LAST);
  return into.slice(0, at);
}

/** `"Accept":["text/html","text/plain"],…` */
function putHeaders(into: Uint8Array, at: number, head: RequestHead): number {
  const { bytes } = head;
  for (const first of grouped.firsts) {
    if (first !== grouped.firsts[0]) into[at++] = COMMA;
    into[at++] = QUOTE;
    at = putCanonical(into, at, bytes, head.nameStart(first), head.nameEnd(first));
    into[at++] = QUOTE;
    into[at++] = 0x3a;
    into[at++] = 0x5b;
    for (let i = first; i >= 0; i = grouped.next(i)) {
      if (i !== first) into[at++] = COMMA;
      into[at++] = QUOTE;
      at = putText(into, at, bytes, head.valueStart(i), head.valueEnd(i));
      into[at++] = QUOTE;
    }
    into[at++] = 0x5d;
  }
  return at;
}

function putCookies(into: Uint8Array, at: number, head: RequestHead): number {
  let isFirst = true;
  for (const [name, value] of cookiesOf(head, grouped)) {
    if (!isFirst) into[at++] = COMMA;
    isFirst = false;
    into[at++] = QUOTE;
    // A token: nothing in it needs escaping.
    for (let k = 0; k < name.length; k++) into[at++] = name.charCodeAt(k);
    into[at++] = QUOTE;
    into[at++] = 0x3a;
    into[at++] = QUOTE;
    at = putText(into, at, value, 0, value.length);
    into[at++] = QUOTE;
  }
  return at;
}

/** A field name as programs write it: `content-type` becomes `Content-Type`. */
export function putCanonical(
  into: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let upper = true;
  for (let p = start; p < end; p++) {
    let c = bytes[p];
    if (upper && c >= 97 && c <= 122) c -= 32;
    else if (!upper && c >= 65 && c <= 90) c += 32;
    upper = c === 0x2d;
    into[at++] = c;
  }
  return at;
}

/** The inside of a JSON string. @returns the position after it */
export function putText(
  into: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  for (let p = start; p < end;) {
    const c = bytes[p];
    if (PLAIN[c] === 1) {
      into[at++] = c;
      p++;
    } else if (c < 0x20) {
      into[at++] = BACKSLASH;
      into[at++] = 0x75;
      into[at++] = into[at++] = 0x30;
      into[at++] = HEX[c >> 4];
      into[at++] = HEX[c & 15];
      p++;
    } else if (c < 0x80) {
      into[at++] = BACKSLASH;
      into[at++] = c;
      p++;
    } else {
      const length = sequence(bytes, p, end);
      if (length === 0) {
        at = put(into, at, REPLACEMENT);
        p++;
      } else {
        for (const stop = p + length; p < stop; p++) into[at++] = bytes[p];
      }
    }
  }
  return at;
}

/** Escapes what was written to `into[start, end)` as printable ASCII. @returns the new end */
function escapeFrom(into: Uint8Array, start: number, end: number): number {
  let p = start;
  while (p < end && PLAIN[into[p]] === 1) p++;
  if (p === end) return end;
  const raw = into.slice(p, end);
  return putText(into, p, raw, 0, raw.length);
}

function put(into: Uint8Array, at: number, piece: Uint8Array): number {
  for (let i = 0; i < piece.length; i++) into[at++] = piece[i];
  return at;
}

/** The canonical form of a name, as text. */
export function canonical(bytes: Uint8Array, start: number, end: number): string {
  const out = new Uint8Array(end - start);
  putCanonical(out, 0, bytes, start, end);
  return text(out, 0, out.length);
}
