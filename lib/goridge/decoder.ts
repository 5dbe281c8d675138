/**
 * Frames out of bytes as they come, in whatever pieces.
 *
 * The decoder says where the next bytes shall be read to (space), is told what came (filled), and hands
 * out frames (next). The buffer may have moved in between, as reads of the runtime move it.
 *
 * | state | holds                                           | becomes                                |
 * | ----- | ----------------------------------------------- | -------------------------------------- |
 * | small | the read buffer, with the rest of what was read | large: a frame that does not fit in it |
 * | large | a payload's own buffer                          | small: the payload is complete         |
 * | bad   | what could not be taken                         | (stays)                                |
 *
 * Invariants: a header is refused by the first byte that is wrong; nothing is allocated that is larger
 * than twice what has arrived, whatever a header announces; a payload that was handed out is touched by
 * nobody here.
 */

import { HEADER_SIZE, HEADER_WORDS, MAX_OPTIONS, MAX_PAYLOAD, VERSION } from "./codes.ts";
import { crc32 } from "./crc32.ts";
import { type Frame, FrameBroken } from "./relay.ts";

/** Size of the read buffer: there is one for every worker. */
const BUFFER_SIZE = 16 * 1024;

/** The first size of a large payload's buffer. */
const FIRST_LARGE = 2 * BUFFER_SIZE;

const MAX_HEAD = HEADER_SIZE + 4 * MAX_OPTIONS;

const NOTHING = new Uint8Array(0);

/** A large payload on its way. */
interface Large {
  head: Head;
  bytes: Uint8Array<ArrayBuffer>;
  filled: number;
}

interface Head {
  flags: number;
  bits: number;
  options: readonly number[];
  /** Of the payload. */
  length: number;
  /** Of the header with its options. */
  size: number;
}

/** Turns bytes into frames. */
export class FrameDecoder {
  #buffer = new Uint8Array(BUFFER_SIZE);
  #start = 0;
  #end = 0;
  #large: Large | undefined;
  #bad: FrameBroken | undefined;

  /** @param maxPayload larger ones are refused */
  constructor(private readonly maxPayload: number = MAX_PAYLOAD) {}

  /** Where the next bytes go; never empty. Not to be called while a frame is there to be taken. */
  space(): Uint8Array<ArrayBuffer> {
    const large = this.#large;
    if (large === undefined) return this.#buffer.subarray(this.#end);
    if (large.filled === large.bytes.length) {
      const size = Math.min(large.head.length, 2 * large.bytes.length);
      large.bytes = new Uint8Array(large.bytes.buffer.transfer(size));
    }
    return large.bytes.subarray(large.filled);
  }

  /** Told that `got`, which lies where space() was or in the buffer that was moved from there, came. */
  filled(got: Uint8Array<ArrayBuffer>): void {
    const buffer = new Uint8Array(got.buffer);
    if (this.#large === undefined) {
      this.#buffer = buffer;
      this.#end += got.length;
    } else {
      this.#large.bytes = buffer;
      this.#large.filled += got.length;
    }
  }

  /**
   * The next frame, if it is complete.
   * @throws FrameBroken saying what is wrong, for ever after
   */
  next(): Frame | undefined {
    if (this.#bad !== undefined) throw this.#bad;
    if (this.#large !== undefined) return this.#completed(this.#large);
    const there = this.#end - this.#start;
    if (there === 0) {
      this.#start = this.#end = 0;
      return undefined;
    }
    const head = this.#head(there);
    if (head === undefined) return this.#await(MAX_HEAD);
    const size = head.size + head.length;
    if (there >= size) {
      const payload = this.#buffer.slice(this.#start + head.size, this.#start + size);
      this.#start += size;
      return frame(head, payload);
    }
    if (size <= BUFFER_SIZE) return this.#await(size);
    const bytes = new Uint8Array(Math.min(head.length, FIRST_LARGE));
    bytes.set(this.#buffer.subarray(this.#start + head.size, this.#end));
    this.#large = { head, bytes, filled: there - head.size };
    this.#start = this.#end = 0;
    return undefined;
  }

  /** Bytes of a frame are there that was not handed out. */
  get begun(): boolean {
    return this.#large !== undefined || this.#end > this.#start;
  }

  /** What has come and is not part of any frame handed out; of a large payload nothing. */
  rest(): Uint8Array {
    return this.#large === undefined ? this.#buffer.subarray(this.#start, this.#end) : NOTHING;
  }

  /** What is missing, when bytes of an incomplete frame are there: `12 of 300 bytes`. */
  missing(): string | undefined {
    if (this.#large !== undefined) {
      return `${this.#large.filled} of ${this.#large.head.length} bytes of a payload`;
    }
    const there = this.#end - this.#start;
    if (there === 0) return undefined;
    const head = this.#head(there);
    if (head === undefined) return `${there} bytes of a header`;
    return `${there - head.size} of ${head.length} bytes of a payload`;
  }

  #completed(large: Large): Frame | undefined {
    if (large.filled < large.head.length) return undefined;
    this.#large = undefined;
    return frame(large.head, large.bytes);
  }

  /** The frame that began is not there: makes room for so many bytes of it. */
  #await(size: number): undefined {
    if (this.#start + size <= BUFFER_SIZE) return;
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  /** The header, as far as `there` bytes tell. */
  #head(there: number): Head | undefined {
    const bytes = this.#buffer;
    const at = this.#start;
    const words = bytes[at] & 0x0f;
    if (bytes[at] >> 4 !== VERSION) throw this.#refuse(`version ${bytes[at] >> 4}`);
    if (words < HEADER_WORDS) throw this.#refuse(`a header of ${words} words`);
    const count = words - HEADER_WORDS;
    if (count > MAX_OPTIONS) throw this.#refuse(`${count} options`);
    if (there < HEADER_SIZE) return undefined;
    const view = new DataView(bytes.buffer, at, there);
    if (view.getUint32(6, true) !== crc32(bytes, at, at + 6)) {
      throw this.#refuse("a wrong checksum");
    }
    const length = view.getUint32(2, true);
    if (length > this.maxPayload) {
      throw this.#refuse(`a payload of ${length} bytes, and ${this.maxPayload} are allowed`);
    }
    const size = 4 * words;
    if (there < size) return undefined;
    const options: number[] = [];
    for (let of = HEADER_SIZE; of < size; of += 4) options.push(view.getUint32(of, true));
    return { flags: bytes[at + 1], bits: bytes[at + 10], options, length, size };
  }

  #refuse(what: string): FrameBroken {
    this.#await(BUFFER_SIZE); // there is room for more of it, to be shown
    return this.#bad = new FrameBroken(`what came is no frame: it has ${what}`);
  }
}

function frame({ flags, bits, options }: Head, payload: Uint8Array): Frame {
  return { flags, bits, options, payload };
}
