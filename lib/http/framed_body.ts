/**
 * The body of a message as it is framed on a connection: by length, in chunks, or until the peer
 * closes.
 *
 * Invariant: exactly the bytes of this body are taken from the connection, not one of the next
 * message; an end that the framing did not announce is never taken for the end of the body.
 */

import { type Body, BodyBroken } from "./exchange.ts";
import { ChunkReader } from "./chunked.ts";
import type { Fields } from "./fields.ts";

/** The receiving side of a connection: unread bytes, and a way to get more. */
export interface Source {
  readonly bytes: Uint8Array;
  /** Unread bytes are `bytes[from, to)`; the body takes from the front. */
  from: number;
  readonly to: number;
  /** Reads once. @returns 0: the peer ended; -1: broken; else bytes were added. */
  more(): Promise<number>;
  /** The body was taken to its end and its last window given up. */
  bodyEnded(): void;
}

/** How a body is framed: -1 chunked, -2 until close, else its length. */
export type Framing = number;
export const CHUNKED = -1;
export const UNTIL_CLOSE = -2;

/** One body after the other on one connection. */
export class FramedBody implements Body {
  length = 0;
  bytes: Uint8Array;
  start = 0;
  end = 0;
  done = true;
  /** The end was reached and told to the source. */
  ended = true;
  /** Bytes given out so far. */
  taken = 0;

  readonly #source: Source;
  readonly #chunks = new ChunkReader();
  #framing: Framing = 0;
  #limit = 0;

  constructor(source: Source) {
    this.#source = source;
    this.bytes = source.bytes;
  }

  /**
   * Begins a new body.
   * @param limit most bytes of a body of unknown length; 0: none
   */
  reset(framing: Framing, limit: number, trailerBytes: number, trailerFields: number): void {
    this.#framing = framing;
    this.#limit = limit;
    this.length = framing >= 0 ? framing : -1;
    this.start = this.end = 0;
    this.taken = 0;
    this.done = this.ended = framing === 0;
    if (framing === CHUNKED) this.#chunks.reset(trailerBytes, trailerFields);
  }

  get trailers(): Fields | undefined {
    return this.#framing === CHUNKED && this.#chunks.done ? this.#chunks.trailers : undefined;
  }

  pull(): boolean | Promise<boolean> {
    this.start = this.end = 0;
    if (this.done) return this.#finish();
    if (this.#take()) return true;
    return this.done ? this.#finish() : this.#wait();
  }

  /** True when the whole rest of a body of known length was received already. */
  get here(): boolean {
    const { from, to } = this.#source;
    return this.done || this.#framing >= 0 && this.#framing - this.taken <= to - from;
  }

  /** Gives up what is left of a body that is here: nobody asked for it. */
  discard(): void {
    while (!this.ended) this.pull();
  }

  async #wait(): Promise<boolean> {
    for (;;) {
      const count = await this.#source.more();
      if (count <= 0) {
        if (count === 0 && this.#framing === UNTIL_CLOSE) {
          this.done = true;
          return this.#finish();
        }
        throw new BodyBroken("the connection ended inside a body");
      }
      if (this.#take()) return true;
      if (this.done) return this.#finish();
    }
  }

  #finish(): false {
    if (!this.ended) {
      this.ended = true;
      this.#source.bodyEnded();
    }
    return false;
  }

  /** Makes a window of the unread bytes. @returns false when there is no data in them. */
  #take(): boolean {
    const source = this.#source;
    if (this.#framing === CHUNKED) return this.#takeChunk();
    let count = source.to - source.from;
    if (count === 0) return false;
    if (this.#framing >= 0) {
      const left = this.#framing - this.taken;
      if (count > left) count = left;
      this.done = count === left;
    }
    this.#window(count);
    return true;
  }

  #takeChunk(): boolean {
    const chunks = this.#chunks;
    if (chunks.data === 0) this.#frame();
    const available = Math.min(chunks.data, this.#source.to - this.#source.from);
    if (available === 0) {
      this.done = chunks.done;
      return false;
    }
    this.#window(available);
    chunks.took(available);
    // Chunks that are here already join the window (their framing made the room): one write for
    // many small ones. Reading on also tells whether this window is the last one.
    const source = this.#source;
    while (chunks.data === 0) {
      this.#frame();
      const next = Math.min(chunks.data, source.to - source.from);
      if (next === 0) break;
      source.bytes.copyWithin(this.end, source.from, source.from + next);
      source.from += next;
      this.end += next;
      this.taken += next;
      chunks.took(next);
    }
    this.done = chunks.done;
    return true;
  }

  #frame(): void {
    const source = this.#source;
    const p = this.#chunks.frame(source.bytes, source.from, source.to);
    if (p < 0) throw new BodyBroken(this.#chunks.reason);
    source.from = p;
    if (this.#limit > 0 && this.taken + this.#chunks.data > this.#limit) {
      throw new BodyBroken(`the body is larger than ${this.#limit} bytes`, 413);
    }
  }

  #window(count: number): void {
    const source = this.#source;
    this.bytes = source.bytes;
    this.start = source.from;
    this.end = source.from += count;
    this.taken += count;
  }
}
