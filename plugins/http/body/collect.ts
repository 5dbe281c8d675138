/**
 * Bytes whole in memory: a body, or a part of one.
 *
 * Invariant: memory follows what arrived, not what was announced nor in how many pieces it came; no
 * byte is copied more often than a doubling buffer does.
 */

import { type Body, BodyBroken } from "../../../lib/http/mod.ts";

/** First buffer of a body, however long it says it is. */
const FIRST = 64 * 1024;

/** Pieces that become one. */
export class Gathered {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param room bytes to begin with */
  constructor(room: number) {
    this.#bytes = new Uint8Array(room);
  }

  /** Appends a copy of a piece. */
  add(piece: Uint8Array): void {
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = needed;
  }

  get length(): number {
    return this.#length;
  }

  /** All of it, not copied; good until the next piece. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }
}

/**
 * All bytes of a body.
 *
 * @throws BodyBroken when the sender left, or with 413 when there are more than `most` bytes
 */
export async function collect(body: Body, most: number): Promise<Uint8Array<ArrayBuffer>> {
  refuseLong(body, most);
  const gathered = new Gathered(body.length < 0 ? FIRST : Math.min(body.length, FIRST));
  while (await body.pull()) {
    if (gathered.length + body.end - body.start > most) throw tooLarge(most);
    gathered.add(body.bytes.subarray(body.start, body.end));
  }
  return gathered.bytes;
}

/** Reads a body that nobody wants, so that its connection can go on. @throws as collect() */
export async function discard(body: Body, most: number): Promise<void> {
  refuseLong(body, most);
  for (let count = 0; await body.pull();) {
    count += body.end - body.start;
    if (count > most) throw tooLarge(most);
  }
}

/** Refuses a body that says itself that it is too long. @throws BodyBroken with 413 */
export function refuseLong(body: Body, most: number): void {
  if (body.length > most) throw tooLarge(most);
}

/** The refusal of a body of more than `most` bytes. */
export function tooLarge(most: number): BodyBroken {
  return new BodyBroken(`the body is larger than ${most} bytes`, 413);
}
