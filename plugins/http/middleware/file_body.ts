/**
 * A part of a file as a body: the next piece is read when the client took the last.
 *
 * Invariant: gives exactly the bytes it announces, or breaks; the file is its owner's to close.
 */

import { giveBuffer, takeBuffer } from "../../../lib/http/buffers.ts";
import { type Body, BodyBroken, WINDOW_ROOM } from "../../../lib/http/mod.ts";
import { onDisk } from "./disk.ts";

const NOTHING = new Uint8Array(0);

/** See the file's comment. */
export class FileBody implements Body {
  readonly length: number;
  readonly trailers = undefined;
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  done: boolean;
  readonly #file: Deno.FsFile;
  #from: number;
  #left: number;

  /** `from`, `length`: which part, in bytes. */
  constructor(file: Deno.FsFile, from: number, length: number) {
    this.#file = file;
    this.#from = from;
    this.length = this.#left = length;
    this.done = length === 0;
  }

  pull(): boolean | Promise<boolean> {
    this.start = this.end = 0;
    if (this.#left > 0) return this.#read();
    giveBuffer(this.bytes);
    this.bytes = NOTHING;
    return false;
  }

  async #read(): Promise<boolean> {
    if (this.bytes.length === 0) this.bytes = takeBuffer();
    const room = this.bytes.length - 2 * WINDOW_ROOM;
    const view = this.bytes.subarray(WINDOW_ROOM, WINDOW_ROOM + Math.min(room, this.#left));
    const count = await onDisk(async () => {
      if (this.#from > 0) await this.#file.seek(this.#from, Deno.SeekMode.Start);
      this.#from = 0;
      return await this.#file.read(view);
    });
    if (count === null) throw new BodyBroken("the file became shorter while it was sent", 500);
    this.#left -= count;
    this.done = this.#left === 0;
    this.start = WINDOW_ROOM;
    this.end = WINDOW_ROOM + count;
    return true;
  }
}
