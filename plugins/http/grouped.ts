/**
 * The fields of a head by name: those of one name form a chain, names stand in the order in which
 * they came first.
 *
 * Invariant: linear in the number of fields, whatever a client sends; valid until the next group().
 */

import { Kind, type RequestHead } from "../../lib/http/mod.ts";

/** What an application behind us has no use for, or must not be fooled with. */
const LEFT_OUT = new Uint8Array(32);
for (
  const kind of [
    // The host is part of the URI.
    Kind.host,
    Kind.transferEncoding,
    // One hop only; `Proxy` becomes HTTP_PROXY in programs that follow CGI.
    Kind.hop,
    Kind.keepAlive,
    // `X_Forwarded_For` and `X-Forwarded-For` are one variable in PHP.
    Kind.disguised,
  ]
) LEFT_OUT[kind] = 1;

const COOKIE = "cookie";

/** See the file's comment. One is enough for everybody: its use is synchronous. */
export class Grouped {
  /** Index of the first field of each name. */
  readonly firsts: number[] = [];
  /** First `Cookie` field; -1: none. */
  cookie = -1;
  #next = new Int32Array(64);
  #last = new Int32Array(64);
  /** Open addressing: index of a first field plus one, by hash of its name. */
  #table = new Int32Array(128);

  /** Index of the next field of the same name; -1: there is none. */
  next(i: number): number {
    return this.#next[i];
  }

  /** Reads a head. */
  group(head: RequestHead): void {
    const { count } = head;
    this.firsts.length = 0;
    this.cookie = -1;
    if (count > this.#next.length) {
      const size = 2 ** Math.ceil(Math.log2(count));
      this.#next = new Int32Array(size);
      this.#last = new Int32Array(size);
      this.#table = new Int32Array(2 * size);
    } else {
      this.#table.fill(0);
    }
    for (let i = 0; i < count; i++) {
      if (LEFT_OUT[head.kind(i)] === 1) continue;
      this.#next[i] = -1;
      const first = this.#firstOf(head, i);
      if (first === i) {
        this.firsts.push(i);
        if (this.cookie < 0 && isCookie(head, i)) this.cookie = i;
      } else {
        this.#next[this.#last[first]] = i;
      }
      this.#last[first] = i;
    }
  }

  /** The first field with the name of field `i`: that one itself, when it is new. */
  #firstOf(head: RequestHead, i: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    for (let slot = hashOf(head, i) & mask;; slot = slot + 1 & mask) {
      const other = table[slot] - 1;
      if (other < 0) {
        table[slot] = i + 1;
        return i;
      }
      if (sameName(head, other, i)) return other;
    }
  }
}

function hashOf(head: RequestHead, i: number): number {
  const { bytes } = head;
  const end = head.nameEnd(i);
  let hash = 0x811c9dc5;
  for (let p = head.nameStart(i); p < end; p++) hash = Math.imul(hash ^ fold(bytes[p]), 0x01000193);
  return hash ^ hash >>> 15;
}

function sameName(head: RequestHead, a: number, b: number): boolean {
  const { bytes } = head;
  const startA = head.nameStart(a);
  const startB = head.nameStart(b);
  const length = head.nameEnd(a) - startA;
  if (head.nameEnd(b) - startB !== length) return false;
  for (let k = 0; k < length; k++) {
    if (fold(bytes[startA + k]) !== fold(bytes[startB + k])) return false;
  }
  return true;
}

function isCookie(head: RequestHead, i: number): boolean {
  const start = head.nameStart(i);
  if (head.nameEnd(i) - start !== COOKIE.length) return false;
  for (let k = 0; k < COOKIE.length; k++) {
    if (fold(head.bytes[start + k]) !== COOKIE.charCodeAt(k)) return false;
  }
  return true;
}

function fold(c: number): number {
  return c >= 65 && c <= 90 ? c | 0x20 : c;
}
