/**
 * Field lines (headers, trailers) read strictly from bytes, piece by piece, without making strings.
 *
 * | state   | input                      | next    |
 * | ------- | -------------------------- | ------- |
 * | in line | line byte                  | in line |
 * | in line | CR LF, line not empty      | in line (after the line was checked) |
 * | in line | CR LF, line empty          | complete |
 * | in line | anything else, limit, …    | refused |
 *
 * Invariants: the result depends on the bytes only, never on how they were split over reads; what
 * two servers could read differently (bare LF, folding, space before the colon, control bytes) is
 * refused, not repaired; no byte is looked at twice, however slowly a head arrives.
 */

import { COLON, copy, CR, HTAB, latin1, LF, LINE, sameWord, SP, text, TOKEN } from "./bytes.ts";

/** What `feed` found: more bytes are needed, or all is there; any other number is the status. */
export const MORE = 0;
export const COMPLETE = 1;

/** What a field is to a proxy. */
export const Kind = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  /** Keep-Alive, Proxy-*, HTTP2-Settings: for one hop only. */
  hop: 5,
  te: 6,
  upgrade: 7,
  expect: 8,
  forwardedFor: 9,
  forwardedProto: 10,
  forwardedHost: 11,
  forwardedPort: 12,
  /** Forwarded, X-Real-IP and further X-Forwarded-*. */
  forwardedOther: 13,
  requestId: 14,
  /** One of the above written with `_` for `-`: gateways fold both into one variable. */
  disguised: 15,
  keepAlive: 16,
} as const;

const NAMES: [name: string, kind: number][] = [
  ["host", Kind.host],
  ["content-length", Kind.contentLength],
  ["transfer-encoding", Kind.transferEncoding],
  ["connection", Kind.connection],
  ["keep-alive", Kind.keepAlive],
  ["http2-settings", Kind.hop],
  ["proxy", Kind.hop],
  ["te", Kind.te],
  ["upgrade", Kind.upgrade],
  ["expect", Kind.expect],
  ["x-forwarded-for", Kind.forwardedFor],
  ["x-forwarded-proto", Kind.forwardedProto],
  ["x-forwarded-host", Kind.forwardedHost],
  ["x-forwarded-port", Kind.forwardedPort],
  ["forwarded", Kind.forwardedOther],
  ["x-real-ip", Kind.forwardedOther],
  ["x-request-id", Kind.requestId],
];

const LONGEST = 20;
/** Known names by length; most lengths have one or none, so most fields cost one look. */
const BY_LENGTH: { word: Uint8Array; kind: number }[][] = Array.from(
  { length: LONGEST },
  (_, length) =>
    NAMES.filter(([name]) => name.length === length)
      .map(([name, kind]) => ({ word: latin1(name), kind })),
);
const PROXY_PREFIX = latin1("proxy-");
const X_FORWARDED_PREFIX = latin1("x-forwarded-");
const NONE: { word: Uint8Array; kind: number }[] = [];
/** "No limit" for a head still has one: 16 MiB. */
const MOST_BYTES = 1 << 24;
const UNDERSCORE = 0x5f;
const DASH = 0x2d;

/** Numbers kept per field: name start, name end, value start, value end (relative), kind. */
const SLOT = 5;

/** Field lines of one head or trailer section. Offsets are relative to `at`. */
export class Fields {
  /** Where the section lies; changes only by `reset` and `moved`. */
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** Bytes up to and with the empty line; valid when complete. */
  size = 0;
  count = 0;
  /** Why it was refused, for people. */
  reason = "";

  /** A plain array: heads are made for every answer, and a typed array costs them a buffer each. */
  #slots: number[] = [];
  /** Position (relative) of the scan and of the line it is in. */
  protected scan = 0;
  protected line = 0;
  protected firstLine = false;
  protected maxBytes = 65_536;
  protected maxFields = 200;

  /** Begins a new section at `bytes[at]`. `maxBytes`, `maxFields`: 0 means none. */
  reset(bytes: Uint8Array, at: number, maxBytes: number, maxFields: number): void {
    this.bytes = bytes;
    this.at = at;
    this.size = 0;
    this.count = 0;
    this.reason = "";
    this.scan = 0;
    this.line = 0;
    this.firstLine = false;
    this.maxBytes = maxBytes > 0 ? maxBytes : MOST_BYTES;
    this.maxFields = maxFields > 0 ? maxFields : Number.MAX_SAFE_INTEGER;
  }

  /** The bytes were moved (same content). */
  moved(bytes: Uint8Array, at: number): void {
    this.bytes = bytes;
    this.at = at;
  }

  /** Reads on up to `end` (absolute). @returns MORE, COMPLETE, or the status to refuse with. */
  feed(end: number): number {
    const bytes = this.bytes;
    let at = this.at;
    let limit = at + this.maxBytes;
    let stop = end < limit ? end : limit;
    let p = at + this.scan;
    for (;;) {
      while (p < stop && LINE[bytes[p]] === 1) p++;
      this.scan = p - at;
      if (p >= stop) return stop === limit ? this.tooLarge() : MORE;
      if (bytes[p] !== CR) {
        return this.refuse(400, bytes[p] === LF ? "a line ends in a bare LF" : "control byte");
      }
      if (p + 1 >= stop) return stop === limit ? this.tooLarge() : MORE;
      if (bytes[p + 1] !== LF) return this.refuse(400, "CR without LF");
      const start = at + this.line;
      this.scan = this.line = p + 2 - at;
      let status: number = MORE;
      if (this.firstLine) {
        status = this.readFirstLine(start, p);
        // Empty lines before a request are no part of it: the section may begin later now.
        at = this.at;
        limit = at + this.maxBytes;
        stop = end < limit ? end : limit;
      } else if (start === p) {
        this.size = this.scan;
        return this.finish();
      } else {
        status = this.#readField(start, p);
      }
      if (status !== MORE) return status;
      p += 2;
    }
  }

  /** The first value of a field by lower-case name; Latin-1. */
  get(name: string): string | undefined {
    const word = latin1(name);
    for (let i = 0; i < this.count; i++) {
      if (sameWord(this.bytes, this.nameStart(i), this.nameEnd(i), word)) return this.value(i);
    }
    return undefined;
  }

  /** All fields in their order, names as sent. */
  entries(): [name: string, value: string][] {
    return Array.from({ length: this.count }, (_, i) => [this.name(i), this.value(i)]);
  }

  kind(i: number): number {
    return this.#slots[i * SLOT + 4];
  }
  nameStart(i: number): number {
    return this.at + this.#slots[i * SLOT];
  }
  nameEnd(i: number): number {
    return this.at + this.#slots[i * SLOT + 1];
  }
  valueStart(i: number): number {
    return this.at + this.#slots[i * SLOT + 2];
  }
  valueEnd(i: number): number {
    return this.at + this.#slots[i * SLOT + 3];
  }
  name(i: number): string {
    return text(this.bytes, this.nameStart(i), this.nameEnd(i));
  }
  value(i: number): string {
    return text(this.bytes, this.valueStart(i), this.valueEnd(i));
  }

  /** Where the line of field `i` ends, behind its CR LF. */
  lineEnd(i: number): number {
    // Behind the value only optional white space and CR LF can stand.
    let p = this.valueEnd(i);
    while (this.bytes[p] !== LF) p++;
    return p + 1;
  }

  /** Writes field `i` as `name: value` with its own letter case. @returns the position after it. */
  put(i: number, into: Uint8Array, at: number): number {
    at = copy(into, at, this.bytes, this.nameStart(i), this.nameEnd(i));
    into[at++] = COLON;
    into[at++] = SP;
    at = copy(into, at, this.bytes, this.valueStart(i), this.valueEnd(i));
    into[at++] = CR;
    into[at++] = LF;
    return at;
  }

  protected refuse(status: number, reason: string): number {
    this.reason = reason;
    return status;
  }

  protected tooLarge(): number {
    return this.refuse(431, `the head is larger than ${this.maxBytes} bytes`);
  }

  /** Heads read their first line here. */
  protected readFirstLine(_start: number, _end: number): number {
    return MORE;
  }

  /** Heads look at a field as it comes in. @returns MORE, or the status to refuse with. */
  protected onField(_kind: number, _start: number, _end: number): number {
    return MORE;
  }

  /** Heads check the whole here. */
  protected finish(): number {
    return COMPLETE;
  }

  #readField(start: number, end: number): number {
    const bytes = this.bytes;
    let p = start;
    while (p < end && TOKEN[bytes[p]] === 1) p++;
    if (p === end || bytes[p] !== COLON || p === start) {
      if (bytes[start] === SP || bytes[start] === HTAB) return this.refuse(400, "folded line");
      return this.refuse(400, "not a field line");
    }
    const nameEnd = p++;
    while (p < end && (bytes[p] === SP || bytes[p] === HTAB)) p++;
    while (end > p && (bytes[end - 1] === SP || bytes[end - 1] === HTAB)) end--;
    if (this.count >= this.maxFields) {
      return this.refuse(431, `more than ${this.maxFields} fields`);
    }
    const kind = kindOf(bytes, start, nameEnd);
    let slot = this.count++ * SLOT;
    const slots = this.#slots;
    slots[slot++] = start - this.at;
    slots[slot++] = nameEnd - this.at;
    slots[slot++] = p - this.at;
    slots[slot++] = end - this.at;
    slots[slot] = kind;
    return kind === Kind.other ? MORE : this.onField(kind, p, end);
  }
}

/** The kind of a field name. */
function kindOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const candidates = length < LONGEST ? BY_LENGTH[length] : NONE;
  for (let i = 0; i < candidates.length; i++) {
    const match = matches(bytes, start, candidates[i].word);
    if (match !== 0) return match === 1 ? candidates[i].kind : Kind.disguised;
  }
  const first = bytes[start] | 0x20;
  if (first === 0x70 && length > 6) {
    const match = matches(bytes, start, PROXY_PREFIX);
    if (match !== 0) return match === 1 ? Kind.hop : Kind.disguised;
  }
  if (first === 0x78 && length > 12) {
    const match = matches(bytes, start, X_FORWARDED_PREFIX);
    if (match !== 0) return match === 1 ? Kind.forwardedOther : Kind.disguised;
  }
  return Kind.other;
}

/** 0: another name; 1: `word` in any letter case; 2: the same with `_` for some `-`. */
function matches(bytes: Uint8Array, start: number, word: Uint8Array): 0 | 1 | 2 {
  let found: 1 | 2 = 1;
  for (let i = 0; i < word.length; i++) {
    let c = bytes[start + i];
    if (c >= 65 && c <= 90) c |= 0x20;
    if (c === word[i]) continue;
    if (c !== UNDERSCORE || word[i] !== DASH) return 0;
    found = 2;
  }
  return found;
}
