/**
 * What request and response heads have in common, and request heads: first line, fields, and what
 * they say about framing and persistence. Response heads are in response_head.ts.
 *
 * Invariant: a head is complete only if its framing has one reading: at most one Content-Length of
 * plain digits, or exactly one `Transfer-Encoding: chunked` under HTTP/1.1, never both; a request
 * under HTTP/1.1 has exactly one Host. Everything else is refused (RFC 9112, 6.3 and 11.2).
 */

import { COLON, HOST, latin1, sameWord, SP, text, TOKEN } from "./bytes.ts";
import { COMPLETE, Fields, Kind, MORE } from "./fields.ts";

const CHUNKED = latin1("chunked");
const CLOSE = latin1("close");
const KEEP_ALIVE = latin1("keep-alive");
const UPGRADE = latin1("upgrade");
const TE = latin1("te");
const HTTP2_SETTINGS = latin1("http2-settings");
const TRAILERS = latin1("trailers");
const CONTINUE = latin1("100-continue");
export const VERSION = latin1("HTTP/1.");
/** Digits of the longest length accepted: 10^15 bytes are exact in a number. */
const LENGTH_DIGITS = 15;
/** Empty lines tolerated before a request line (RFC 9112, 2.2). */
const LEADING_LINES = 4;
const COMMON_METHODS = new Map(
  ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"]
    .map((name) => [name.length << 8 | name.charCodeAt(0) ^ name.charCodeAt(1) << 1, name]),
);

/** What request and response heads share. */
export abstract class Head extends Fields {
  /** 0 or 1: HTTP/1.0 or HTTP/1.1. */
  minor = 1;
  /** Content-Length; -1: none was sent. */
  contentLength = -1;
  chunked = false;
  /** Words of the Connection field. */
  close = false;
  keepAlive = false;
  upgrade = false;
  /** The Connection field names further fields. */
  nominates = false;

  override reset(bytes: Uint8Array, at: number, maxBytes: number, maxFields: number): void {
    super.reset(bytes, at, maxBytes, maxFields);
    this.firstLine = true;
    this.minor = 1;
    this.contentLength = -1;
    this.chunked = false;
    this.close = false;
    this.keepAlive = false;
    this.upgrade = false;
    this.nominates = false;
  }

  /** Lower-case names that the Connection fields name, without the words that are no fields. */
  nominated(): Set<string> {
    const names = new Set<string>();
    for (let i = 0; i < this.count; i++) {
      if (this.kind(i) !== Kind.connection) continue;
      for (const word of this.value(i).split(",")) names.add(word.trim().toLowerCase());
    }
    return names;
  }

  protected override onField(kind: number, start: number, end: number): number {
    switch (kind) {
      case Kind.contentLength:
        return this.#readLength(start, end);
      case Kind.transferEncoding:
        if (this.chunked) return this.refuse(400, "more than one Transfer-Encoding");
        if (!sameWord(this.bytes, start, end, CHUNKED)) {
          return this.refuse(400, "Transfer-Encoding is not exactly chunked");
        }
        this.chunked = true;
        return MORE;
      case Kind.connection:
        eachWord(this.bytes, start, end, this.#connectionWord);
        return MORE;
      default:
        return MORE;
    }
  }

  protected override finish(): number {
    if (this.chunked && this.contentLength >= 0) {
      return this.refuse(400, "both Content-Length and Transfer-Encoding");
    }
    if (this.chunked && this.minor === 0) {
      return this.refuse(400, "Transfer-Encoding under HTTP/1.0");
    }
    return COMPLETE;
  }

  #readLength(start: number, end: number): number {
    if (this.contentLength >= 0) return this.refuse(400, "more than one Content-Length");
    if (end === start || end - start > LENGTH_DIGITS) return this.refuse(400, "bad Content-Length");
    let length = 0;
    for (let p = start; p < end; p++) {
      const digit = this.bytes[p] - 48;
      if (digit < 0 || digit > 9) return this.refuse(400, "bad Content-Length");
      length = length * 10 + digit;
    }
    this.contentLength = length;
    return MORE;
  }

  readonly #connectionWord = (start: number, end: number): void => {
    const bytes = this.bytes;
    if (sameWord(bytes, start, end, KEEP_ALIVE)) this.keepAlive = true;
    else if (sameWord(bytes, start, end, CLOSE)) this.close = true;
    else if (sameWord(bytes, start, end, UPGRADE)) this.upgrade = true;
    else if (!sameWord(bytes, start, end, TE) && !sameWord(bytes, start, end, HTTP2_SETTINGS)) {
      this.nominates = true;
    }
  };
}

/** The head of a request. Valid until its exchange ends. */
export class RequestHead extends Head {
  /** `Expect: 100-continue`. */
  expectsContinue = false;
  /** `TE` contains `trailers`. */
  trailers = false;
  /** The target is `http://authority/path`; `authority*` say where. */
  absolute = false;
  /** Index of the Host field; -1: none. */
  host = -1;

  #method = "";
  #methodEnd = 0;
  #targetStart = 0;
  #targetEnd = 0;
  #authorityStart = 0;
  #authorityEnd = 0;
  #leading = 0;

  override reset(bytes: Uint8Array, at: number, maxBytes: number, maxFields: number): void {
    super.reset(bytes, at, maxBytes, maxFields);
    this.expectsContinue = false;
    this.trailers = false;
    this.absolute = false;
    this.host = -1;
    this.#method = "";
    this.#methodEnd = 0;
    this.#leading = 0;
  }

  get method(): string {
    return this.#method;
  }

  /** Path and query as sent (of an absolute-form target: what follows the authority). */
  get target(): string {
    const path = text(this.bytes, this.targetStart, this.targetEnd);
    return this.absolute && !path.startsWith("/") ? `/${path}` : path;
  }

  /** The authority the client asks: of an absolute-form target, else of Host; may be empty. */
  get authority(): string {
    if (this.absolute) return text(this.bytes, this.authorityStart, this.authorityEnd);
    return this.host < 0 ? "" : this.value(this.host);
  }

  get methodStart(): number {
    return this.at;
  }
  get methodEnd(): number {
    return this.at + this.#methodEnd;
  }
  get targetStart(): number {
    return this.at + this.#targetStart;
  }
  get targetEnd(): number {
    return this.at + this.#targetEnd;
  }
  get authorityStart(): number {
    return this.at + this.#authorityStart;
  }
  get authorityEnd(): number {
    return this.at + this.#authorityEnd;
  }

  /** True when the client may send another request after the answer. */
  get persistent(): boolean {
    return this.minor === 1 ? !this.close : this.keepAlive && !this.close;
  }

  protected override readFirstLine(start: number, end: number): number {
    const bytes = this.bytes;
    if (start === end) {
      if (this.#leading++ >= LEADING_LINES) {
        return this.refuse(400, "empty lines instead of a request");
      }
      return MORE;
    }
    // Leading empty lines are no part of the head.
    const skipped = start - this.at;
    this.at = start;
    this.scan -= skipped;
    this.line -= skipped;
    let p = start;
    while (p < end && TOKEN[bytes[p]] === 1) p++;
    if (p === start || p === end || bytes[p] !== SP) return this.refuse(400, "bad request line");
    this.#methodEnd = p - start;
    this.#method = methodName(bytes, start, p);
    const target = ++p;
    while (p < end && bytes[p] > SP) p++;
    if (p === target || p === end || bytes[p] !== SP) return this.refuse(400, "bad request line");
    this.#targetStart = target - start;
    this.#targetEnd = p - start;
    const status = this.#readVersion(p + 1, end);
    if (status !== MORE) return status;
    this.firstLine = false;
    return this.#readTarget(target, p);
  }

  protected override tooLarge(): number {
    if (this.firstLine) return this.refuse(414, "the request line is too long");
    return super.tooLarge();
  }

  protected override onField(kind: number, start: number, end: number): number {
    switch (kind) {
      case Kind.host:
        if (this.host >= 0) return this.refuse(400, "more than one Host");
        this.host = this.count - 1;
        if (!isHost(this.bytes, start, end)) return this.refuse(400, "bad Host");
        return MORE;
      case Kind.expect:
        if (sameWord(this.bytes, start, end, CONTINUE)) this.expectsContinue = true;
        return MORE;
      case Kind.te:
        eachWord(this.bytes, start, end, this.#teWord);
        return MORE;
      default:
        return super.onField(kind, start, end);
    }
  }

  protected override finish(): number {
    if (this.host < 0 && this.minor === 1) return this.refuse(400, "no Host");
    return super.finish();
  }

  readonly #teWord = (start: number, end: number): void => {
    if (sameWord(this.bytes, start, end, TRAILERS)) this.trailers = true;
  };

  #readVersion(start: number, end: number): number {
    const bytes = this.bytes;
    if (end - start !== 8) return this.refuse(400, "bad HTTP version");
    for (let i = 0; i < 5; i++) {
      if (bytes[start + i] !== VERSION[i]) return this.refuse(400, "bad HTTP version");
    }
    const major = bytes[start + 5] - 48;
    const minor = bytes[start + 7] - 48;
    if (major < 0 || major > 9 || bytes[start + 6] !== VERSION[6] || minor < 0 || minor > 9) {
      return this.refuse(400, "bad HTTP version");
    }
    if (major !== 1 || minor > 1) return this.refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken");
    this.minor = minor;
    return MORE;
  }

  #readTarget(start: number, end: number): number {
    const bytes = this.bytes;
    if (bytes[start] === 0x2f) return MORE;
    if (bytes[start] === 0x2a && end - start === 1 && this.#method === "OPTIONS") return MORE;
    if (this.#method === "CONNECT") {
      return isHost(bytes, start, end) ? MORE : this.refuse(400, "bad request target");
    }
    const match = /^https?:\/\/([^/?#]*)/i.exec(text(bytes, start, end));
    if (match === null) return this.refuse(400, "bad request target");
    const authority = start + match[0].length - match[1].length;
    const path = start + match[0].length;
    if (path === authority || !isHost(bytes, authority, path)) {
      return this.refuse(400, "bad request target");
    }
    this.absolute = true;
    this.#authorityStart = authority - this.at;
    this.#authorityEnd = path - this.at;
    this.#targetStart = path - this.at;
    return MORE;
  }
}

export function isDigit(c: number): boolean {
  return c >= 48 && c <= 57;
}

/** The method's name; the usual ones make no new string. */
function methodName(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  const known = COMMON_METHODS.get(length << 8 | bytes[start] ^ bytes[start + 1] << 1);
  if (known !== undefined && known.length === length) {
    let i = 0;
    while (i < length && bytes[start + i] === known.charCodeAt(i)) i++;
    if (i === length) return known;
  }
  return text(bytes, start, end);
}

/** Calls `each` with every word of a comma-separated list, trimmed, parameters cut off. */
function eachWord(
  bytes: Uint8Array,
  start: number,
  end: number,
  each: (start: number, end: number) => void,
): void {
  let p = start;
  while (p < end) {
    while (p < end && TOKEN[bytes[p]] === 0) p++;
    const word = p;
    while (p < end && TOKEN[bytes[p]] === 1) p++;
    if (p > word) each(word, p);
    while (p < end && bytes[p] !== 0x2c) p++;
  }
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`; empty is a host too (RFC 9110, 7.2). */
function isHost(bytes: Uint8Array, start: number, end: number): boolean {
  let p = start;
  if (bytes[p] === 0x5b && p < end) {
    while (p < end && bytes[p] !== 0x5d) p++;
    if (p === end) return false;
    const inner = text(bytes, start + 1, p);
    if (!/^[0-9a-fA-F:.]+$|^v[0-9a-fA-F]+\./.test(inner) || !inner.includes(":")) return false;
    p++;
  } else {
    while (p < end && bytes[p] !== COLON) {
      if (HOST[bytes[p]] === 0 || bytes[p] === 0x5b || bytes[p] === 0x5d) return false;
      p++;
    }
  }
  if (p === end) return true;
  if (bytes[p++] !== COLON) return false;
  while (p < end) if (!isDigit(bytes[p++])) return false;
  return true;
}
