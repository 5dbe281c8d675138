/**
 * The body of a request on its way to a program, while its answer may already be coming.
 *
 * | state    | meaning                                         |
 * | -------- | ----------------------------------------------- |
 * | waiting  | nothing was taken from the client               |
 * | first    | one window was taken, and is still there        |
 * | flowing  | windows are pulled and sent                     |
 * | complete | all was sent                                    |
 * | broken   | the client broke off; the program is cut too    |
 * | stopped  | the program takes no more                       |
 *
 * Invariant: a window is given up only after the program's socket took it, so a first window that
 * was not sent can be sent on another connection.
 */

import { chunkSizeLength, putChunkEnd, putChunkSize } from "./chunked.ts";
import { type Body, BodyBroken } from "./exchange.ts";
import { trailerSection } from "./put_head.ts";
import type { UpstreamConnection } from "./upstream_connection.ts";

/** A first window up to this size goes out in one write with the head. */
const FIRST_LIMIT = 16_384;
const LAST_CHUNK = new TextEncoder().encode("0\r\n\r\n");

export class Upload {
  complete: boolean;
  /** Bytes of the body came from the client. */
  begun = false;
  broken: BodyBroken | undefined;
  readonly #body: Body;
  readonly #chunked: boolean;
  #pulled: boolean | Promise<boolean> | undefined;
  /** The terminating chunk was sent with a window. */
  #terminated = false;

  constructor(body: Body) {
    this.#body = body;
    this.#chunked = body.length < 0;
    this.complete = body.length === 0;
  }

  /** Bytes that `putFirst` needs at most. */
  firstRoom(): number {
    if (this.complete) return 0;
    if (this.#pulled === undefined) {
      this.#pulled = this.#body.pull();
      // It is awaited in start(), but an attempt may fail before it comes to that.
      if (typeof this.#pulled !== "boolean") this.#pulled.catch(() => {});
    }
    const size = this.#body.end - this.#body.start;
    return size > 0 && size <= FIRST_LIMIT ? size + 32 : 0;
  }

  /** Writes the first window if it is there and small. @returns the position after it. */
  putFirst(into: Uint8Array, at: number): number {
    const { bytes, start, end, done, trailers } = this.#body;
    const size = end - start;
    if (this.complete || this.#pulled !== true || size > FIRST_LIMIT) return at;
    if (this.#chunked) {
      at += chunkSizeLength(size);
      putChunkSize(into, at, size);
    }
    into.set(bytes.subarray(start, end), at);
    at += size;
    if (!this.#chunked) return at;
    this.#terminated = done && trailers === undefined;
    return putChunkEnd(into, at, this.#terminated);
  }

  /** Head and first window are out: sends the rest. Never rejects; see `complete`, `broken`. */
  async start(connection: UpstreamConnection): Promise<void> {
    if (this.complete) return connection.sent();
    const body = this.#body;
    try {
      let more: boolean;
      if (this.#pulled === true && body.end - body.start <= FIRST_LIMIT) {
        this.begun = true;
        more = await body.pull();
      } else {
        more = await this.#pulled!;
      }
      while (more) {
        this.begun = true;
        if (!await this.#sendWindow(connection)) return;
        const next = body.pull();
        more = typeof next === "boolean" ? next : await next;
      }
      if (this.#chunked && !this.#terminated) {
        const last = body.trailers === undefined ? LAST_CHUNK : trailerSection(body.trailers);
        if (!await connection.wire.write(last, 0, last.length)) return;
      }
      this.complete = true;
      connection.sent();
    } catch (error) {
      // Only the client's side throws here: half a request must not look whole to the program.
      this.broken = error instanceof BodyBroken ? error : new BodyBroken("the body broke off");
      connection.close();
    }
  }

  async #sendWindow(connection: UpstreamConnection): Promise<boolean> {
    const body = this.#body;
    let { start, end } = body;
    if (this.#chunked) {
      this.#terminated = body.done && body.trailers === undefined;
      const size = end - start;
      end = putChunkEnd(body.bytes, end, this.#terminated);
      start = putChunkSize(body.bytes, start, size);
    }
    return await connection.wire.write(body.bytes, start, end);
  }
}
