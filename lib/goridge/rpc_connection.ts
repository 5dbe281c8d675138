/**
 * One client connection: many calls at once, answered as they are done.
 *
 * | state   | meaning                                       | ends with                            |
 * | ------- | --------------------------------------------- | ------------------------------------ |
 * | open    | requests are read while there is room         | peer's end, finish() → ending; cut   |
 * | ending  | no more requests; what is in flight is answered | all answered and sent → end; cut   |
 * | end     | closed                                        | –                                    |
 *
 * `cut` is: a frame that is no request, a peer that reads nothing of its answers, cut().
 *
 * Invariants: a call is in flight until its answer is sent; calls in flight and their bytes are
 * bounded, and beyond that nothing is read (the peer waits, nobody else does); run() never rejects.
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
  /** Calls in flight. */
  calls: number;
  /** Bytes of the arguments in flight; one call may exceed it. */
  bytes: number;
  /** The longest payload of a request, bytes. */
  frame: number;
  /** How long a peer may read nothing of what is sent to it, milliseconds. */
  send: number;
}

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
  #answers: { frame: OutFrame; bytes: number }[] = [];
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

  /** Calls that are not answered yet. */
  get calls(): number {
    return this.#calls;
  }

  /**
   * Serves until the end.
   * @returns what the peer did that its connection was cut for; undefined: nothing of the kind
   */
  async run(): Promise<string | undefined> {
    const reading = this.#readAll().catch((error) => this.#cutBecause(messageOf(error)));
    await Promise.race([reading, this.#until(() => this.#ending)]);
    await this.#until(() => this.#closed || this.#calls === 0);
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
    const { calls, bytes } = this.#limits;
    for (;;) {
      await this.#until(() => this.#ending || (this.#calls < calls && this.#bytes < bytes));
      const frame = this.#ending ? undefined : await this.#receive();
      if (frame === undefined || this.#ending) return;
      this.#take(new RpcRequest(frame), frame.payload.length);
    }
  }

  #take(request: RpcRequest, bytes: number): void {
    this.#calls++;
    this.#bytes += bytes;
    this.#dispatch.answer(request).then((frame) => {
      this.#answers.push({ frame, bytes });
      if (!this.#sending) this.#sendAll();
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
      const { frame, bytes } = this.#answers.shift()!;
      for (const piece of pieces(frame)) await this.#write(piece);
      this.#calls--;
      this.#bytes -= bytes;
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
