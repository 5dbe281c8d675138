/**
 * A relay over a pair of byte streams, which is what both a child's pipes and a socket are.
 *
 * | state  | receive()                                  | becomes                                     |
 * | ------ | ------------------------------------------ | ------------------------------------------- |
 * | open   | the next frame                             | broken: no frame came; ended: the peer closed |
 * | broken | fails, each time the same way              | closed                                      |
 * | ended  | undefined                                  | closed                                      |
 * | closed | undefined, also one that was waiting       | (stays)                                     |
 *
 * Invariants: the pieces of a frame are handed to the stream in one turn, so that two senders never mix
 * theirs; one read at a time, into one buffer that moves to the runtime and back; close() leaves nobody
 * waiting, not even for a peer that does not read.
 */

import { type Clock, within } from "../core/clock.ts";
import { FrameDecoder } from "./decoder.ts";
import { pieces } from "./frame.ts";
import { noFrame } from "./printed.ts";
import { type Frame, FrameBroken, type OutFrame, type Relay } from "./relay.ts";

/** How much is read of what is no frame, bytes … */
const TEXT_SIZE = 4096;

/** … and how long, milliseconds: a program prints a message in pieces. */
const TEXT_TIME = 100;

/** Two directions, and how to speak of them. */
export interface Streams {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array>;
  /** What the peer did when no frame came: `the worker printed to stdout`. */
  readonly printed: string;
  /** What the peer did when it closed: `the worker closed its stdout`. */
  readonly closed: string;
  /** As {@linkcode Relay.lags}. */
  readonly lags?: boolean;
}

type Read = ReadableStreamReadResult<Uint8Array<ArrayBuffer>>;

/** Frames over streams. */
export class StreamRelay implements Relay {
  onBytes?: () => void;
  readonly #streams: Streams;
  readonly #clock: Clock;
  readonly #decoder: FrameDecoder;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Senders whose frame is not out yet. */
  readonly #sending = new Set<(sent: boolean) => void>();
  #broken: FrameBroken | undefined;
  #ended = false;
  #closed = false;

  get lags(): boolean {
    return this.#streams.lags ?? false;
  }

  constructor(streams: Streams, clock: Clock, maxPayload?: number) {
    this.#streams = streams;
    this.#clock = clock;
    this.#decoder = new FrameDecoder(maxPayload);
    this.#reader = streams.readable.getReader({ mode: "byob" });
    this.#writer = streams.writable.getWriter();
  }

  send(frame: OutFrame): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    const [first, ...others] = pieces(frame);
    let written = this.#writer.write(first);
    for (const piece of others) {
      written.catch(ignored); // then the last one fails as well
      written = this.#writer.write(piece);
    }
    return new Promise((resolve) => {
      const settle = (sent: boolean) => {
        this.#sending.delete(settle);
        resolve(sent);
      };
      this.#sending.add(settle);
      written.then(() => settle(true), () => settle(false));
    });
  }

  async receive(): Promise<Frame | undefined> {
    while (!this.#closed) {
      if (this.#broken !== undefined) throw this.#broken;
      let frame: Frame | undefined;
      try {
        frame = this.#decoder.next();
      } catch (error) {
        if (!(error instanceof FrameBroken)) throw error;
        this.onBytes?.();
        throw this.#broken = await this.#explain(error);
      }
      if (frame !== undefined) return frame;
      if (this.#ended) return this.#atEnd();
      if (this.#decoder.begun) this.onBytes?.();
      await this.#read();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // What fails here is a stream whose peer was faster.
    this.#reader.cancel().catch(ignored);
    this.#writer.abort().catch(ignored);
    for (const settle of [...this.#sending]) settle(false);
  }

  /** Reads once; at the end of the stream, or when it fails, the relay has ended. */
  async #read(): Promise<void> {
    let read: Read;
    try {
      read = await this.#reader.read(this.#decoder.space());
    } catch {
      this.#ended = true; // a connection that was reset is one that ended
      return;
    }
    if (read.value !== undefined) this.#decoder.filled(read.value);
    if (read.done) this.#ended = true;
  }

  /** What came instead of a frame, with what else is printed within a short time. */
  async #explain(wrong: FrameBroken): Promise<FrameBroken> {
    const until = this.#clock.now() + TEXT_TIME;
    let bytes = this.#decoder.rest();
    while (bytes.length < TEXT_SIZE && !this.#ended && !this.#closed) {
      bytes = bytes.slice(); // the buffer itself moves away with the read
      const read = await within(this.#clock, Math.max(0, until - this.#clock.now()), this.#read());
      if (!read.done) break;
      bytes = this.#decoder.rest();
    }
    return noFrame(this.#streams.printed, wrong, bytes);
  }

  /** @throws FrameBroken when the end came inside a frame */
  #atEnd(): undefined {
    const missing = this.#closed ? undefined : this.#decoder.missing();
    if (missing === undefined) return undefined;
    throw this.#broken = new FrameBroken(
      `${this.#streams.closed} in the middle of a frame: ${missing} had come`,
      "",
      true,
    );
  }
}

/** Where a failure tells nothing that is not known otherwise. */
function ignored(): void {}
