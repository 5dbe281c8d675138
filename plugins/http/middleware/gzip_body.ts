/**
 * A body in gzip (RFC 1952), window by window.
 *
 * Each window becomes one or more deflate blocks that end on a byte, so that the receiver can unpack
 * all of it at once; the end of the last window is what the next one may refer to.
 *
 * Invariant: at most one window and what became of it are in memory.
 */

import type { Body, Fields } from "../../../lib/http/mod.ts";
import { WINDOW_ROOM } from "../../../lib/http/mod.ts";

/** What is used of `node:zlib`. */
export type Zlib = Pick<typeof import("node:zlib"), "deflateRawSync" | "constants" | "crc32">;

/** No name, no time, system unknown. */
const HEAD = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);
/** An empty last block, then checksum and length. */
const LAST_BLOCK = Uint8Array.of(0x03, 0x00);
const TAIL = LAST_BLOCK.length + 8;
const LEVEL = 6;
/** What flushing and the framing of incompressible blocks add at most, besides 1/256. */
const SLACK = 256;
/** How far back a block may refer. */
const REACH = 32_768;

/** See the file's comment. */
export class GzipBody implements Body {
  readonly length = -1;
  bytes = new Uint8Array(0);
  start = 0;
  end = 0;
  done = false;
  readonly #inner: Body;
  readonly #zlib: Zlib;
  #begun = false;
  /** The body inside has told its end. */
  #ended = false;
  #crc = 0;
  #size = 0;
  #before = new Uint8Array(0);

  constructor(inner: Body, zlib: Zlib) {
    this.#inner = inner;
    this.#zlib = zlib;
  }

  get trailers(): Fields | undefined {
    return this.#inner.trailers;
  }

  pull(): boolean | Promise<boolean> {
    if (this.#ended) return false;
    const more = this.#inner.pull();
    return typeof more === "boolean" ? this.#take(more) : more.then((more) => this.#take(more));
  }

  #take(more: boolean): boolean {
    this.start = this.end = 0;
    this.#ended = !more;
    if (this.done) return false;
    const { bytes, start, end, done } = this.#inner;
    const packed = more ? this.#pack(bytes.subarray(start, end)) : new Uint8Array(0);
    this.done = !more || done;
    this.#window(packed);
    return true;
  }

  #pack(window: Uint8Array): Uint8Array {
    const { deflateRawSync, constants, crc32 } = this.#zlib;
    this.#crc = crc32(window, this.#crc);
    this.#size += window.length;
    const dictionary = this.#before.length > 0 ? this.#before : undefined;
    const packed = deflateRawSync(window, {
      level: LEVEL,
      finishFlush: constants.Z_SYNC_FLUSH,
      // Room for all that can come out, so that it comes in one piece.
      chunkSize: window.length + (window.length >> 8) + SLACK,
      dictionary,
    });
    // A copy: the window is the receiver's until the next pull.
    this.#before = window.slice(-REACH);
    return packed;
  }

  /** Makes the window: the beginning of the file first, its end last. */
  #window(packed: Uint8Array): void {
    const room = HEAD.length + packed.length + TAIL + 2 * WINDOW_ROOM;
    if (this.bytes.length < room) this.bytes = new Uint8Array(room);
    let at = this.start = WINDOW_ROOM;
    const put = (piece: Uint8Array) => {
      this.bytes.set(piece, at);
      at += piece.length;
    };
    if (!this.#begun) put(HEAD);
    this.#begun = true;
    put(packed);
    if (this.done) {
      put(LAST_BLOCK);
      const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8);
      view.setUint32(0, this.#crc, true);
      view.setUint32(4, this.#size % 2 ** 32, true);
      at += 8;
    }
    this.end = at;
  }
}
