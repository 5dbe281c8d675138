/**
 * Writing heads: the fields that travel end to end are copied as they came, byte for byte, in runs;
 * what concerns one hop is left out.
 *
 * Invariant: framing and persistence fields of a received head are never copied into a sent one
 * except a Content-Length that is true.
 */

import { copy, CR, latin1, LF, put, text } from "./bytes.ts";
import { type Fields, Kind } from "./fields.ts";
import { REASONS, type ResponseHead } from "./response_head.ts";

const HTTP_11 = latin1("HTTP/1.1");
const CONNECTION_CLOSE = latin1("Connection: close\r\n");
const CONNECTION_KEEP = latin1("Connection: keep-alive\r\n");
const CONNECTION_UPGRADE = latin1("Connection: Upgrade\r\n");
const TRANSFER_CHUNKED = latin1("Transfer-Encoding: chunked\r\n");
const CONTENT_LENGTH = latin1("Content-Length: ");

/** More than all lines that are ever added to a response head. */
export const RESPONSE_EXTRA = 192;

/** A set of kinds as a table. */
export function kinds(...list: number[]): Uint8Array {
  const out = new Uint8Array(32);
  for (const kind of list) out[kind] = 1;
  return out;
}

/** What a response loses on its way, whatever its framing. */
const RESPONSE_HOP = [
  Kind.connection,
  Kind.keepAlive,
  Kind.hop,
  Kind.transferEncoding,
  Kind.te,
];
const ANSWER = kinds(...RESPONSE_HOP, Kind.upgrade);
const ANSWER_NO_LENGTH = kinds(...RESPONSE_HOP, Kind.upgrade, Kind.contentLength);
const SWITCH = kinds(...RESPONSE_HOP, Kind.contentLength);
/** Fields that may never stand in trailers (RFC 9110, 6.5.1). */
const TRAILER_FORBIDDEN = kinds(
  ...Object.values(Kind).filter((kind) => kind !== Kind.other),
);

/**
 * Copies the lines of `fields` without the kinds in `drop` and without the nominated names.
 * @returns the position after the last one
 */
export function putFields(
  into: Uint8Array,
  at: number,
  fields: Fields,
  drop: Uint8Array,
  nominated: Set<string> | undefined,
): number {
  const { bytes, count } = fields;
  if (count === 0) return at;
  // A run is everything from one dropped line to the next.
  let run = fields.nameStart(0);
  for (let i = 0; i < count; i++) {
    const kind = fields.kind(i);
    const dropped = kind === Kind.other
      ? nominated !== undefined && nominated.has(fields.name(i).toLowerCase())
      : drop[kind] === 1;
    if (!dropped) continue;
    const line = fields.nameStart(i);
    if (line > run) at = copy(into, at, bytes, run, line);
    run = fields.lineEnd(i);
  }
  const stop = fields.at + fields.size - 2;
  return stop > run ? copy(into, at, bytes, run, stop) : at;
}

/** How an answer is framed and whether the connection goes on. */
export interface AnswerFraming {
  /** Undefined: the head says it right, or there is no body; -1: chunked; else Content-Length. */
  length: number | undefined;
  /** The Content-Length of the head is to be left out. */
  dropLength: boolean;
  connection: "" | "close" | "keep-alive" | "upgrade";
}

/** Writes a whole response head. @returns the position after it. */
export function putResponseHead(
  into: Uint8Array,
  at: number,
  head: ResponseHead,
  framing: AnswerFraming,
): number {
  at = put(into, at, HTTP_11);
  at = copy(into, at, head.bytes, head.at + HTTP_11.length, head.lineStop);
  at = lineEnd(into, at);
  const nominated = head.nominates ? head.nominated() : undefined;
  const drop = framing.connection === "upgrade"
    ? SWITCH
    : framing.dropLength
    ? ANSWER_NO_LENGTH
    : ANSWER;
  at = putFields(into, at, head, drop, nominated);
  if (framing.length !== undefined) {
    if (framing.length < 0) at = put(into, at, TRANSFER_CHUNKED);
    else at = putLength(into, at, framing.length);
  }
  if (framing.connection === "close") at = put(into, at, CONNECTION_CLOSE);
  else if (framing.connection === "keep-alive") at = put(into, at, CONNECTION_KEEP);
  else if (framing.connection === "upgrade") at = put(into, at, CONNECTION_UPGRADE);
  return lineEnd(into, at);
}

/** `Content-Length: n`. @returns the position after it. */
export function putLength(into: Uint8Array, at: number, length: number): number {
  at = put(into, at, CONTENT_LENGTH);
  return lineEnd(into, put(into, at, latin1(String(length))));
}

/** CR LF. @returns the position after it. */
export function lineEnd(into: Uint8Array, at: number): number {
  into[at++] = CR;
  into[at++] = LF;
  return at;
}

/** The end of a chunked body with trailers: last chunk, allowed trailer lines, empty line. */
export function trailerSection(trailers: Fields): Uint8Array {
  const out = new Uint8Array(trailers.size + 8);
  out[0] = 48;
  let at = lineEnd(out, 1);
  at = putFields(out, at, trailers, TRAILER_FORBIDDEN, undefined);
  return out.subarray(0, lineEnd(out, at));
}

/** The reason phrase of a head, or the usual one. */
export function reasonOf(head: ResponseHead): string {
  return text(head.bytes, head.at + 13, head.lineStop) || (REASONS.get(head.status) ?? "");
}
