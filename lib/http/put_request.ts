/**
 * The request as the program behind us gets it: the client's own fields in their order and case,
 * without what concerned the hop to us, and with what only we know (who asked, how, for which host).
 *
 * Invariants: whatever a client that is not trusted says in `X-Forwarded-*`, `Forwarded`,
 * `X-Real-IP` or `X-Request-ID` (also spelled with `_`) never reaches a program; the framing written
 * here is the one the body is sent with; no field that we set can be removed by naming it in
 * `Connection`.
 */

import { copy, latin1, put, SP } from "./bytes.ts";
import type { ClientAddress, Exchange } from "./exchange.ts";
import { Kind } from "./fields.ts";
import type { RequestHead } from "./head.ts";
import { kinds, lineEnd, putFields } from "./put_head.ts";
import { putRequestId } from "./request_id.ts";
import type { ForwardSettings } from "./settings.ts";

const HTTP_11 = latin1(" HTTP/1.1\r\n");
const HOST = latin1("Host: ");
const FORWARDED_FOR = latin1("X-Forwarded-For: ");
const FORWARDED_HOST = latin1("X-Forwarded-Host: ");
const REQUEST_ID = latin1("X-Request-ID: ");
const TRANSFER_CHUNKED = latin1("Transfer-Encoding: chunked\r\n");
const CONNECTION_UPGRADE = latin1("Connection: Upgrade\r\n");
const TE_TRAILERS = latin1("Connection: TE\r\nTE: trailers\r\n");
const STAR = latin1("*");
const SLASH = latin1("/");
/** More than all fixed text that is ever added. */
const EXTRA = 1024;

const HOP = [
  Kind.connection,
  Kind.keepAlive,
  Kind.hop,
  Kind.te,
  Kind.transferEncoding,
  Kind.disguised,
];
const UNTRUSTED = [
  Kind.forwardedFor,
  Kind.forwardedProto,
  Kind.forwardedHost,
  Kind.forwardedPort,
  Kind.forwardedOther,
  Kind.requestId,
];

const TRUSTED_BIT = 1;
const DROP_EXPECT = 2;
const DROP_HOST = 4;
const DROP_UPGRADE = 8;
/** Kinds left out, by the bits above. */
const DROPS = Array.from({ length: 16 }, (_, bits) =>
  kinds(
    ...HOP,
    ...(bits & TRUSTED_BIT ? [Kind.forwardedFor] : UNTRUSTED),
    ...(bits & DROP_EXPECT ? [Kind.expect] : []),
    ...(bits & DROP_HOST ? [Kind.host] : []),
    ...(bits & DROP_UPGRADE ? [Kind.upgrade] : []),
  ));

/** What is the same for every request of one client connection. */
interface OfClient {
  settings: ForwardSettings;
  trusted: boolean;
  address: Uint8Array;
  proto: Uint8Array;
  port: Uint8Array;
}

const clients = new WeakMap<ClientAddress, OfClient>();

function ofClient(exchange: Exchange, settings: ForwardSettings): OfClient {
  const { client, tls } = exchange;
  let known = clients.get(client);
  if (known === undefined || known.settings !== settings) {
    known = {
      settings,
      trusted: settings.trusted_proxies.has(client.address),
      address: latin1(client.address || "unix"),
      proto: latin1(`X-Forwarded-Proto: ${tls ? "https" : "http"}\r\n`),
      port: latin1(`X-Forwarded-Port: ${settings.public_port}\r\n`),
    };
    clients.set(client, known);
  }
  return known;
}

/** Bytes that `putRequest` needs at most. */
export function requestRoom(head: RequestHead): number {
  // The authority may stand in Host and in X-Forwarded-Host.
  return head.size * 2 + EXTRA;
}

/** How a request is sent on. */
export interface RequestShape {
  /** An upgrade is offered to the program. */
  upgrade: boolean;
  /** `Expect: 100-continue` is passed on. */
  expect: boolean;
  /** The body is sent in chunks. */
  chunked: boolean;
  /** Host for clients that sent none (HTTP/1.0). */
  host: string;
}

/** Writes the whole head. @returns the position after it. */
export function putRequest(
  into: Uint8Array,
  exchange: Exchange,
  settings: ForwardSettings,
  shape: RequestShape,
): number {
  const { head } = exchange;
  const known = ofClient(exchange, settings);
  let at = putRequestLine(into, head);
  const bits = (known.trusted ? TRUSTED_BIT : 0) | (shape.expect ? 0 : DROP_EXPECT) |
    (head.absolute ? DROP_HOST : 0) | (shape.upgrade ? 0 : DROP_UPGRADE);
  if (head.absolute) {
    at = put(into, at, HOST);
    at = lineEnd(into, copy(into, at, head.bytes, head.authorityStart, head.authorityEnd));
  } else if (head.host < 0) {
    at = lineEnd(into, put(into, put(into, at, HOST), latin1(shape.host)));
  }
  at = putFields(into, at, head, DROPS[bits], head.nominates ? head.nominated() : undefined);
  at = putForwarded(into, at, head, known);
  if (shape.chunked) at = put(into, at, TRANSFER_CHUNKED);
  if (shape.upgrade) at = put(into, at, CONNECTION_UPGRADE);
  else if (head.trailers) at = put(into, at, TE_TRAILERS);
  return lineEnd(into, at);
}

function putRequestLine(into: Uint8Array, head: RequestHead): number {
  const { bytes } = head;
  let at = copy(into, 0, bytes, head.methodStart, head.methodEnd);
  into[at++] = SP;
  const { targetStart, targetEnd } = head;
  if (head.absolute && (targetStart === targetEnd || bytes[targetStart] !== SLASH[0])) {
    // An absolute target without a path (RFC 9112, 3.2.4 and 3.2.1).
    const whole = targetStart === targetEnd && head.method === "OPTIONS";
    at = put(into, at, whole ? STAR : SLASH);
  }
  at = copy(into, at, bytes, targetStart, targetEnd);
  return put(into, at, HTTP_11);
}

function putForwarded(
  into: Uint8Array,
  at: number,
  head: RequestHead,
  known: OfClient,
): number {
  at = put(into, at, FORWARDED_FOR);
  if (!known.trusted) {
    at = lineEnd(into, put(into, at, known.address));
    at = put(into, at, known.proto);
    at = put(into, at, known.port);
    at = putHost(into, at, head);
    return putId(into, at);
  }
  let seen = 0;
  for (let i = 0; i < head.count; i++) {
    const kind = head.kind(i);
    seen |= 1 << kind;
    if (kind !== Kind.forwardedFor || head.valueStart(i) === head.valueEnd(i)) continue;
    at = copy(into, at, head.bytes, head.valueStart(i), head.valueEnd(i));
    into[at++] = 0x2c;
    into[at++] = SP;
  }
  at = lineEnd(into, put(into, at, known.address));
  if ((seen & 1 << Kind.forwardedProto) === 0) at = put(into, at, known.proto);
  if ((seen & 1 << Kind.forwardedPort) === 0) at = put(into, at, known.port);
  if ((seen & 1 << Kind.forwardedHost) === 0) at = putHost(into, at, head);
  return (seen & 1 << Kind.requestId) === 0 ? putId(into, at) : at;
}

function putHost(into: Uint8Array, at: number, head: RequestHead): number {
  if (!head.absolute && head.host < 0) return at;
  at = put(into, at, FORWARDED_HOST);
  at = head.absolute
    ? copy(into, at, head.bytes, head.authorityStart, head.authorityEnd)
    : copy(into, at, head.bytes, head.valueStart(head.host), head.valueEnd(head.host));
  return lineEnd(into, at);
}

function putId(into: Uint8Array, at: number): number {
  return lineEnd(into, putRequestId(into, put(into, at, REQUEST_ID)));
}
