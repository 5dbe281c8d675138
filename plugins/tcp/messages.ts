/**
 * What a client has sent, cut into messages at the delimiter, wherever in the stream it falls.
 *
 * Invariants: a message is everything up to its delimiter and with it; every byte is in one message,
 * in order; never more than `limit` bytes are kept; what was looked through in vain is not looked
 * through again.
 */

/** Idle connections are many and silent: they start small. */
const FIRST = 2048;
/** Memory that an empty inbox keeps. */
const KEPT = 65_536;

/** See the file's comment. */
export class Messages {
  readonly #delimiter: Uint8Array;
  readonly #limit: number;
  #bytes: Uint8Array<ArrayBuffer>;
  /** What is kept: `[from, to)`; up to `seen` no delimiter begins. */
  #from = 0;
  #to = 0;
  #seen = 0;

  /** `delimiter` is not empty; `limit`: bytes of a message, with its delimiter. */
  constructor(delimiter: Uint8Array, limit: number) {
    this.#delimiter = delimiter;
    this.#limit = limit;
    this.#bytes = new Uint8Array(Math.min(FIRST, limit));
  }

  /** Where the next bytes go; empty when a message is too long. Valid until the next call. */
  room(): Uint8Array<ArrayBuffer> {
    if (this.#to === this.#bytes.length) this.#makeRoom();
    return this.#bytes.subarray(this.#to);
  }

  /** So many bytes came, into the room. */
  arrived(count: number): void {
    this.#to += count;
  }

  /** The next message that is complete; a copy. */
  next(): Uint8Array | undefined {
    const end = this.#find();
    if (end < 0) return undefined;
    const message = this.#bytes.slice(this.#from, end);
    this.#from = this.#seen = end;
    if (this.#from === this.#to) this.#rewind();
    return message;
  }

  /** Everything that is left without a delimiter; a copy. */
  rest(): Uint8Array {
    const rest = this.#bytes.slice(this.#from, this.#to);
    this.#rewind();
    return rest;
  }

  /** @returns where the first message ends; -1: nowhere */
  #find(): number {
    const delimiter = this.#delimiter;
    const bytes = this.#bytes.subarray(0, this.#to);
    for (let at = this.#seen;; at++) {
      at = bytes.indexOf(delimiter[0], at);
      if (at < 0 || at + delimiter.length > bytes.length) break;
      let same = 1;
      while (same < delimiter.length && bytes[at + same] === delimiter[same]) same++;
      if (same === delimiter.length) return at + same;
    }
    this.#seen = Math.max(this.#seen, bytes.length - delimiter.length + 1);
    return -1;
  }

  /** Into a larger buffer, or to the front of this one. */
  #makeRoom(): void {
    const kept = this.#bytes.subarray(this.#from, this.#to);
    const size = this.#bytes.length;
    const grow = kept.length * 2 > size && size < this.#limit;
    if (!grow && this.#from === 0) return;
    const target = grow ? new Uint8Array(Math.min(size * 2, this.#limit)) : this.#bytes;
    target.set(kept);
    this.#bytes = target;
    this.#seen -= this.#from;
    this.#from = 0;
    this.#to = kept.length;
  }

  #rewind(): void {
    this.#from = this.#to = this.#seen = 0;
    if (this.#bytes.length > KEPT) this.#bytes = new Uint8Array(FIRST);
  }
}
