/**
 * The URI of a request as workers get it: absolute, and nothing in it that PHP's own parser chokes
 * on, because a worker that throws while it reads a request is a worker lost to everybody.
 *
 * Invariant: what is written is printable ASCII: other bytes of a target are percent-encoded, which
 * every program decodes to the same bytes.
 */

import type { Exchange } from "../../lib/http/mod.ts";

type Asked = Pick<Exchange, "head" | "tls">;

const HTTP = new TextEncoder().encode("http://");
const HTTPS = new TextEncoder().encode("https://");
/** For clients of HTTP/1.0 that name no host. */
const NO_HOST = new TextEncoder().encode("localhost");
const HEX = new TextEncoder().encode("0123456789ABCDEF");
const SLASH = 0x2f;
const COLON = 0x3a;
const QUESTION = 0x3f;
const HASH = 0x23;
const MOST_PORT = 65_535;

/** Why a host cannot be part of a URI; undefined: it can. */
export function hostProblem({ head }: Asked): string | undefined {
  const [start, end] = authorityOf(head);
  if (start === end) return undefined;
  const { bytes } = head;
  if (bytes[start] === COLON) return "Host has a port but no name";
  let colon = end - 1;
  while (colon > start && bytes[colon] >= 48 && bytes[colon] <= 57) colon--;
  if (bytes[colon] !== COLON) return undefined;
  let port = 0;
  for (let p = colon + 1; p < end; p++) port = Math.min(port * 10 + bytes[p] - 48, MOST_PORT + 1);
  return port > MOST_PORT ? "Host has an impossible port" : undefined;
}

/** More bytes than putUri or putQuery write. */
export function uriRoom({ head }: Asked): number {
  const [start, end] = authorityOf(head);
  return end - start + 3 * (head.targetEnd - head.targetStart) + 32;
}

/** `http://host/path?query`. @returns the position after it */
export function putUri(into: Uint8Array, at: number, { head, tls }: Asked): number {
  at = put(into, at, tls ? HTTPS : HTTP);
  const { bytes, targetStart, targetEnd } = head;
  const [start, end] = authorityOf(head);
  if (start === end) at = put(into, at, NO_HOST);
  else for (let p = start; p < end; p++) into[at++] = bytes[p];
  // A target without a path: `*`, or an absolute one of authority and query alone.
  if (targetStart === targetEnd || bytes[targetStart] !== SLASH) into[at++] = SLASH;
  return putEncoded(into, at, bytes, targetStart, targetEnd);
}

/** The query without its `?`. @returns the position after it */
export function putQuery(into: Uint8Array, at: number, { head }: Asked): number {
  const { bytes, targetEnd } = head;
  // Not indexOf: that would look through the whole buffer, of which the target is a small part.
  let mark = head.targetStart;
  while (mark < targetEnd && bytes[mark] !== QUESTION) mark++;
  return putEncoded(into, at, bytes, mark + 1, targetEnd);
}

function authorityOf(head: Asked["head"]): [start: number, end: number] {
  if (head.absolute) return [head.authorityStart, head.authorityEnd];
  return head.host < 0 ? [0, 0] : [head.valueStart(head.host), head.valueEnd(head.host)];
}

function putEncoded(
  into: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  for (let p = start; p < end; p++) {
    const c = bytes[p];
    if (c > 0x20 && c < 0x7f && c !== HASH) {
      into[at++] = c;
    } else {
      into[at++] = 0x25;
      into[at++] = HEX[c >> 4];
      into[at++] = HEX[c & 15];
    }
  }
  return at;
}

function put(into: Uint8Array, at: number, piece: Uint8Array): number {
  for (let i = 0; i < piece.length; i++) into[at++] = piece[i];
  return at;
}
