/**
 * What a client connection has received and not yet used up.
 *
 * One small buffer serves heads and small bodies; a larger one is borrowed while a body or a large
 * head needs it. The head of the request being answered stays where it is (its strings are made
 * late), so a look-ahead read goes behind it, before it, or into a fresh buffer.
 *
 * Invariants: while a read is pending, the buffer and its region are not touched; at most one read
 * is pending; unread bytes never exceed one buffer.
 */

import { giveBuffer, LARGE, takeBuffer } from "./buffers.ts";
import { WINDOW_ROOM } from "./exchange.ts";
import type { RequestHead } from "./head.ts";
import type { Wire } from "./wire.ts";

/** Enough for the heads that browsers send. */
const SMALL = 8192;
/** A look-ahead read into less room than this is not worth it. */
const MIN_READ = 512;

/** Unread bytes of one client connection. */
export class Inbox {
  bytes: Uint8Array;
  from = WINDOW_ROOM;
  to = WINDOW_ROOM;
  /** The peer sends no more (0) or is gone (-1); 1: still there. */
  state = 1;

  readonly #wire: Wire;
  readonly #head: RequestHead;
  readonly #small: Uint8Array;
  readonly #onRead: (count: number) => void;
  #pending: Promise<number> | undefined;

  /** `onRead` is told every result before the reader is. */
  constructor(wire: Wire, head: RequestHead, onRead: (count: number) => void) {
    this.#wire = wire;
    this.#head = head;
    this.#small = this.bytes = new Uint8Array(SMALL);
    this.#onRead = onRead;
  }

  get reading(): boolean {
    return this.#pending !== undefined;
  }

  get empty(): boolean {
    return this.from === this.to;
  }

  /** Between requests: back to the small buffer, from its start. */
  rewind(): void {
    if (this.#pending !== undefined || !this.empty) return;
    if (this.bytes !== this.#small) {
      giveBuffer(this.bytes);
      this.bytes = this.#small;
    }
    this.from = this.to = WINDOW_ROOM;
  }

  /** Reads more of a head that begins at `from`. */
  moreHead(limit: number): Promise<number> {
    if (this.#pending === undefined && this.state === 1 && this.#tail() === 0) {
      this.#makeRoom(limit);
    }
    return this.#read(this.bytes.length - WINDOW_ROOM);
  }

  /** Reads more of a body; everything before was used up. */
  moreBody(): Promise<number> {
    if (this.#pending === undefined) {
      if (this.bytes === this.#head.bytes) this.bytes = takeBuffer();
      this.from = this.to = WINDOW_ROOM;
    }
    return this.#read(this.bytes.length - WINDOW_ROOM);
  }

  /** The body was used up: its large buffer goes back unless the next request lies in it. */
  bodyEnded(): void {
    const { bytes, from, to } = this;
    const head = this.#head;
    if (this.#pending !== undefined || bytes === head.bytes || head.bytes !== this.#small) return;
    const at = head.at + head.size;
    if (to - from > this.#small.length - WINDOW_ROOM - at) return;
    this.#small.set(bytes.subarray(from, to), at);
    this.from = at;
    this.to = at + to - from;
    this.bytes = this.#small;
    giveBuffer(bytes);
  }

  /** While a request is being answered: reads ahead, to see the next one or the client leave. */
  lookAhead(): void {
    if (this.#pending !== undefined || this.state !== 1) return;
    let end = this.bytes.length - WINDOW_ROOM;
    if (this.#tail() < MIN_READ) {
      // With unread bytes in the way the next read has to wait until they are used.
      if (!this.empty) return;
      const head = this.#head;
      if (head.bytes === this.bytes && head.at - 2 * WINDOW_ROOM >= MIN_READ) {
        end = head.at - WINDOW_ROOM;
      } else if (head.bytes === this.bytes) {
        this.bytes = new Uint8Array(SMALL);
        end = SMALL - WINDOW_ROOM;
      }
      this.from = this.to = WINDOW_ROOM;
    }
    this.#read(end);
  }

  /** Reads into the caller's memory; nothing is unread and no read is pending. */
  readInto(view: Uint8Array): Promise<number> {
    return this.state === 1 ? this.#wire.read(view) : Promise.resolve(this.state);
  }

  /** The read that is pending, if any. */
  get pending(): Promise<number> | undefined {
    return this.#pending;
  }

  #tail(): number {
    return this.bytes.length - WINDOW_ROOM - this.to;
  }

  #read(end: number): Promise<number> {
    if (this.#pending !== undefined) return this.#pending;
    if (this.state !== 1) return Promise.resolve(this.state);
    const view = this.bytes.subarray(this.to, end);
    return this.#pending = this.#wire.readInto(view, this.#arrived, this.#failed);
  }

  readonly #arrived = (count: number | null): number => {
    this.#pending = undefined;
    if (count === null) this.state = count = 0;
    else this.to += count;
    this.#onRead(count);
    return count;
  };

  readonly #failed = (): number => {
    this.#pending = undefined;
    this.state = -1;
    this.#onRead(-1);
    return -1;
  };

  /** Room for the rest of a head: to the front of the buffer first, then into a larger one. */
  #makeRoom(limit: number): void {
    const { bytes, from, to } = this;
    let target = bytes;
    if (from === WINDOW_ROOM) {
      target = bytes.length < LARGE ? takeBuffer() : new Uint8Array(
        Math.min(bytes.length * 2, Math.max(limit, bytes.length) + 2 * WINDOW_ROOM + bytes.length),
      );
    }
    target.set(bytes.subarray(from, to), WINDOW_ROOM);
    this.bytes = target;
    this.from = WINDOW_ROOM;
    this.to = WINDOW_ROOM + to - from;
    this.#head.moved(target, WINDOW_ROOM);
    if (target !== bytes && bytes !== this.#small) giveBuffer(bytes);
  }
}
