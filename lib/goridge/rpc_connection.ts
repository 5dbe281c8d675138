/**
 * One client connection: many calls at once, answered as they are done.
 *
 * | state  | meaning                                      | ends with                          |
 * | ------ | -------------------------------------------- | ---------------------------------- |
 * | open   | requests are read while there is room        | peer's end, finish() → ending; cut |
 * | ending | no more requests; calls at work are answered | all answered and sent → end; cut   |
 * | end    | closed                                       | –                                  |
 *
 * `cut` is: a frame that is no request, a peer that reads nothing of its answers, cut().
 *
 * Invariants: calls at work and their arguments are bounded, and so are answers that wait to be sent;
 * beyond that nothing is read (the peer waits, nobody else does). run() never rejects.
 *
 * A client may send many calls before it reads the first answer, and cannot read while it is kept from
 * sending: so answers that nobody reads yet hold nothing up until there are a great many.
 */

import { type Clock, within } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import { FrameDecoder } from "./decoder.ts";
import { pieces } from "./frame.ts";
import { type Frame, FrameBroken, type OutFrame } from "./relay.ts";
import type { RpcDispatch } from "./rpc_dispatch.ts";
import { RpcRequest } from "./rpc_exchange.ts";

/** What one connection may take up. */
export interface RpcLimits {
  /** Calls at work. */
  calls: number;
  /** Bytes of their requests; the last one may exceed it. */
  bytes: number;
  /** Bytes of answers that wait, each with ANSWER_COST more; those of the calls at work may exceed it. */
  answers: number;
  /** The longest payload of a request, bytes. */
  frame: number;
  /** How long a peer may read nothing of what is sent to it, milliseconds. */
  send: number;
}

/** What an answer takes up besides its bytes. */
const ANSWER_COST = 512;

/** Small answers go out together in pieces of up to so many bytes. */
const PIECE = 64 * 1024;

/** The connection of one client. */
export class RpcConnection {
  readonly #conn: Deno.Conn;
  readonly #decoder: FrameDecoder;
  readonly #dispatch: RpcDispatch;
  readonly #clock: Clock;
  readonly #limits: RpcLimits;
  #calls = 0;
  #bytes = 0;
  /** Answers to be sent, in the order in which they were ready. */
  #answers: OutFrame[] = [];
  /** What those and the ones being sent take up. */
  #waiting = 0;
  #sending = false;
  /** No more requests are read. */
  #ending = false;
  #closed = false;
  #offence: string | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(conn: Deno.Conn, dispatch: RpcDispatch, clock: Clock, limits: RpcLimits) {
    this.#conn = conn;
    this.#decoder = new FrameDecoder(limits.frame);
    this.#dispatch = dispatch;
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * Serves until the end.
   * @returns what the peer did that its connection was cut for; undefined: nothing of the kind
   */
  async run(): Promise<string | undefined> {
    const reading = this.#readAll().catch((error) => this.#cutBecause(messageOf(error)));
    await Promise.race([reading, this.#until(() => this.#ending)]);
    await this.#until(() => this.#closed || (this.#calls === 0 && this.#waiting === 0));
    this.cut();
    return this.#offence;
  }

  /** Takes no more requests; run() resolves when those in flight are answered. */
  finish(): void {
    this.#ending = true;
    this.#change();
  }

  /** Ends now. */
  cut(): void {
    if (this.#closed) return;
    this.#ending = true;
    this.#closed = true;
    this.#conn.close();
    this.#change();
  }

  /** Reads requests until the peer sends no more, or none shall be taken. @throws FrameBroken */
  async #readAll(): Promise<void> {
    for (;;) {
      await this.#until(() => this.#ending || this.#hasRoom());
      const frame = this.#ending ? undefined : await this.#receive();
      if (frame === undefined || this.#ending) return;
      this.#take(new RpcRequest(frame), frame.payload.length);
    }
  }

  #hasRoom(): boolean {
    const { calls, bytes, answers } = this.#limits;
    return this.#calls < calls && this.#bytes < bytes && this.#waiting < answers;
  }

  #take(request: RpcRequest, bytes: number): void {
    this.#calls++;
    this.#bytes += bytes;
    this.#dispatch.answer(request).then((answer) => {
      this.#calls--;
      this.#bytes -= bytes;
      this.#answers.push(answer);
      this.#waiting += costOf(answer);
      if (!this.#sending) this.#sendAll();
      this.#change();
    });
  }

  /** @returns undefined: the peer sends no more, or is gone. @throws FrameBroken */
  async #receive(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#decoder.next();
      if (frame !== undefined) return frame;
      const space = this.#decoder.space();
      const count = await this.#conn.read(space).catch(gone);
      if (count === null) break;
      this.#decoder.filled(space.subarray(0, count));
    }
    const missing = this.#decoder.missing();
    if (missing === undefined) return undefined;
    throw new FrameBroken(`it ended in the middle of a request, after ${missing}`);
  }

  async #sendAll(): Promise<void> {
    this.#sending = true;
    while (this.#answers.length > 0 && !this.#closed) {
      const answers = this.#answers;
      this.#answers = [];
      for (const piece of together(answers.flatMap(pieces))) await this.#write(piece);
      this.#waiting -= answers.reduce((sum, answer) => sum + costOf(answer), 0);
      this.#change();
    }
    this.#sending = false;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { send } = this.#limits;
    for (let at = 0; at < bytes.length && !this.#closed;) {
      const writing = this.#conn.write(bytes.subarray(at)).catch(gone);
      const written = await within(this.#clock, send, writing);
      if (!written.done) this.#cutBecause(`it read nothing for ${send} ms`);
      else if (written.value === null) this.cut();
      else at += written.value;
    }
  }

  #cutBecause(offence: string): void {
    // What goes wrong after the cut is its consequence.
    if (!this.#closed) this.#offence = offence;
    this.cut();
  }

  /** Waits for a state of the fields. */
  async #until(reached: () => boolean): Promise<void> {
    while (!reached()) await this.#changed.promise;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Reset, closed, ended: whatever the system says, nobody is there any more. */
function gone(): null {
  return null;
}

function costOf({ parts = [] }: OutFrame): number {
  return parts.reduce((sum, { length }) => sum + length, ANSWER_COST);
}

/** The same bytes in fewer pieces: a system call costs more than copying what is small. */
function* together(small: readonly Uint8Array[]): Generator<Uint8Array> {
  for (let from = 0, to = 0; from < small.length; from = to) {
    let size = 0;
    while (to < small.length && (to === from || size + small[to].length <= PIECE)) {
      size += small[to++].length;
    }
    if (to === from + 1) {
      yield small[from];
      continue;
    }
    const piece = new Uint8Array(size);
    for (let at = 0, next = from; next < to; at += small[next++].length) piece.set(small[next], at);
    yield piece;
  }
}
