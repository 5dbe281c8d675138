/**
 * The body of a worker's answer as the front pulls it: the frames of a stream one after the other,
 * large frames in pieces.
 *
 * Invariants: the next frame is asked for only when the client took the last; a body of announced
 * length has exactly that length or breaks, it never ends wrong.
 */

import { type Body, BodyBroken, type Fields, WINDOW_ROOM } from "../../lib/http/mod.ts";
import { type Answer, type AnswerPart, PoolError } from "../../lib/pool/types.ts";

/** Bytes of one window. */
const MOST_WINDOW = 65_536;

/** See the file's comment. */
export class AnswerBody implements Body {
  bytes = new Uint8Array(0);
  start = 0;
  end = 0;
  done = false;
  /** Why the worker's side broke; told by pull() too. */
  failure: PoolError | undefined;
  readonly length: number;
  readonly #answer: Answer;
  readonly #after: Fields | undefined;
  #part: Uint8Array;
  #at = 0;
  #more: boolean;
  #given = 0;

  /**
   * @param part the part of the answer that brought the head
   * @param length bytes in all; -1: not known
   * @param trailers what follows the body
   */
  constructor(answer: Answer, part: AnswerPart, length: number, trailers?: Fields) {
    this.#answer = answer;
    this.#part = part.body;
    this.#more = part.more;
    this.length = length;
    this.#after = trailers;
  }

  get trailers(): Fields | undefined {
    return this.done ? this.#after : undefined;
  }

  pull(): boolean | Promise<boolean> {
    this.start = this.end = 0;
    if (this.#at < this.#part.length) return this.#window();
    return this.#more ? this.#next() : this.#finish();
  }

  async #next(): Promise<boolean> {
    while (this.#more) {
      const part = await this.#receive();
      this.#more = part.more;
      this.#part = part.body;
      this.#at = 0;
      if (this.#part.length > 0) return this.#window();
    }
    return this.#finish();
  }

  async #receive(): Promise<AnswerPart> {
    try {
      const part = await this.#answer.next();
      if (part !== undefined) return part;
      this.#more = false;
      throw new BodyBroken("the answer was cancelled", 502);
    } catch (error) {
      if (!(error instanceof PoolError)) throw error;
      this.#more = false;
      this.failure = error;
      throw new BodyBroken(error.message, 502);
    }
  }

  #window(): boolean {
    const size = Math.min(MOST_WINDOW, this.#part.length - this.#at);
    this.#given += size;
    if (this.length >= 0 && this.#given > this.length) {
      throw new BodyBroken(`the worker sends more than its Content-Length of ${this.length}`, 502);
    }
    if (this.bytes.length < size + 2 * WINDOW_ROOM) {
      this.bytes = new Uint8Array(size + 2 * WINDOW_ROOM);
    }
    this.bytes.set(this.#part.subarray(this.#at, this.#at + size), WINDOW_ROOM);
    this.#at += size;
    this.start = WINDOW_ROOM;
    this.end = WINDOW_ROOM + size;
    const last = !this.#more && this.#at === this.#part.length;
    if (last) this.#checkLength();
    this.done = last;
    return true;
  }

  #finish(): false {
    this.#checkLength();
    this.done = true;
    return false;
  }

  #checkLength(): void {
    if (this.length < 0 || this.#given === this.length) return;
    throw new BodyBroken(
      `the worker sent ${this.#given} bytes, its Content-Length says ${this.length}`,
      502,
    );
  }
}
