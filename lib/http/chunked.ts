/**
 * The chunked coding (RFC 9112, 7.1): reading it strictly, writing it around a window in place.
 *
 * | state     | input                     | next                       |
 * | --------- | ------------------------- | -------------------------- |
 * | size      | hex digit (at most 12)    | size                       |
 * | size      | `;`                       | extension                  |
 * | size      | CR, at least one digit    | size LF                    |
 * | extension | line byte (at most 256)   | extension                  |
 * | extension | CR                        | size LF                    |
 * | size LF   | LF                        | data, or trailers when 0   |
 * | data      | all its bytes             | data CR                    |
 * | data CR   | CR                        | data LF                    |
 * | data LF   | LF                        | size                       |
 * | trailers  | field lines, empty line   | done                       |
 * | any       | anything else             | refused                    |
 *
 * Invariant: extensions are never passed on and sizes are written anew, so what leaves us has one
 * reading even if the receiver is lax.
 */

import { CR, LF, LINE } from "./bytes.ts";
import { COMPLETE, Fields, MORE } from "./fields.ts";

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILERS = 6;
const DONE = 7;

const SIZE_DIGITS = 12;
const EXTENSION_BYTES = 256;
const SEMICOLON = 0x3b;
const FIRST_TRAILER_BYTES = 512;
const HEX = new TextEncoder().encode("0123456789abcdef");

/** Reads the framing of one chunked body; the data stays where it is. */
export class ChunkReader {
  /** Set when it was refused. */
  reason = "";
  /** Fields after the last chunk; undefined when there were none. */
  trailers: Fields | undefined;

  #state = SIZE;
  #remaining = 0;
  #digits = 0;
  #extension = 0;
  #maxBytes = 0;
  #maxFields = 0;

  /** Begins a new body; the limits are those of its trailers. */
  reset(maxBytes: number, maxFields: number): void {
    this.#remaining = 0;
    this.reason = "";
    this.trailers = undefined;
    this.#state = SIZE;
    this.#digits = 0;
    this.#extension = 0;
    this.#maxBytes = maxBytes;
    this.#maxFields = maxFields;
  }

  /** Bytes of the current chunk that were not taken yet. */
  get data(): number {
    return this.#state === DATA ? this.#remaining : 0;
  }

  get done(): boolean {
    return this.#state === DONE;
  }

  /** `count` bytes of data were taken. */
  took(count: number): void {
    this.#remaining -= count;
    if (this.#remaining === 0) this.#state = DATA_CR;
  }

  /**
   * Reads framing from `bytes[p, end)` up to the next data byte or the end of the body.
   * @returns the position behind what was read; -1 when the framing is refused
   */
  frame(bytes: Uint8Array, p: number, end: number): number {
    while (p < end) {
      const c = bytes[p];
      switch (this.#state) {
        case SIZE: {
          const digit = hexDigit(c);
          if (digit >= 0) {
            if (++this.#digits > SIZE_DIGITS) return this.#refuse("chunk size too long");
            this.#remaining = this.#remaining * 16 + digit;
          } else if (this.#digits === 0) return this.#refuse("bad chunk size");
          else if (c === SEMICOLON) this.#state = EXTENSION;
          else if (c === CR) this.#state = SIZE_LF;
          else return this.#refuse("bad chunk size");
          p++;
          break;
        }
        case EXTENSION:
          if (c === CR) this.#state = SIZE_LF;
          else if (LINE[c] === 0 || ++this.#extension > EXTENSION_BYTES) {
            return this.#refuse("bad chunk extension");
          }
          p++;
          break;
        case SIZE_LF:
          if (c !== LF) return this.#refuse("bad end of a chunk size");
          this.#state = this.#remaining > 0 ? DATA : TRAILERS;
          p++;
          break;
        case DATA_CR:
          if (c !== CR) return this.#refuse("chunk longer than its size");
          this.#state = DATA_LF;
          p++;
          break;
        case DATA_LF:
          if (c !== LF) return this.#refuse("chunk longer than its size");
          this.#state = SIZE;
          this.#digits = 0;
          this.#extension = 0;
          p++;
          break;
        case TRAILERS:
          return this.#readTrailers(bytes, p, end);
        default: // DATA: the caller's; DONE: what follows belongs to the next message.
          return p;
      }
    }
    return p;
  }

  #refuse(reason: string): number {
    this.reason = reason;
    return -1;
  }

  /** Trailers are copied out: the buffer they lie in is given up with the next window. */
  #readTrailers(bytes: Uint8Array, p: number, end: number): number {
    if (this.trailers === undefined && end - p >= 2 && bytes[p] === CR && bytes[p + 1] === LF) {
      this.#state = DONE;
      return p + 2;
    }
    let fields = this.trailers as TrailerFields | undefined;
    if (fields === undefined) {
      fields = this.trailers = new TrailerFields();
      fields.reset(new Uint8Array(FIRST_TRAILER_BYTES), 0, this.#maxBytes, this.#maxFields);
    }
    const before = fields.filled;
    fields.append(bytes, p, end);
    const result = fields.feed(fields.filled);
    if (result === MORE) return end;
    if (result !== COMPLETE) return this.#refuse(`bad trailers: ${fields.reason}`);
    this.#state = DONE;
    if (fields.count === 0) this.trailers = undefined;
    return p + fields.size - before;
  }
}

class TrailerFields extends Fields {
  filled = 0;

  append(bytes: Uint8Array, start: number, end: number): void {
    // Not more than the limit can be needed, one byte over shows that it is exceeded.
    const room = this.maxBytes + 1 - this.filled;
    if (end - start > room) end = start + room;
    const size = this.filled + end - start;
    if (size > this.bytes.length) {
      const grown = new Uint8Array(Math.max(size, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.filled));
      this.moved(grown, 0);
    }
    this.bytes.set(bytes.subarray(start, end), this.filled);
    this.filled = size;
  }
}

function hexDigit(c: number): number {
  if (c >= 48 && c <= 57) return c - 48;
  const letter = c | 0x20;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/**
 * Writes the chunk size line so that it ends at `start`. At most ten bytes.
 * @returns the position where it begins
 */
export function putChunkSize(bytes: Uint8Array, start: number, size: number): number {
  bytes[--start] = LF;
  bytes[--start] = CR;
  do {
    bytes[--start] = HEX[size % 16];
    size = Math.floor(size / 16);
  } while (size > 0);
  return start;
}

/** Length of the size line that `putChunkSize` writes. */
export function chunkSizeLength(size: number): number {
  let length = 3;
  while (size >= 16) {
    size = Math.floor(size / 16);
    length++;
  }
  return length;
}

/** Ends a chunk at `end`; with `last` also the body. @returns the position behind it. */
export function putChunkEnd(bytes: Uint8Array, end: number, last: boolean): number {
  bytes[end++] = CR;
  bytes[end++] = LF;
  if (!last) return end;
  bytes[end++] = 48;
  bytes[end++] = CR;
  bytes[end++] = LF;
  bytes[end++] = CR;
  bytes[end++] = LF;
  return end;
}
