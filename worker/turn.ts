/**
 * One request of the supervisor and the answer to it.
 *
 * Invariant: exactly one last frame goes out for each request, after any number of streamed ones,
 * and nothing after it.
 */

import { Bit, encode, Flag } from "./frame.ts";
import type { Relay } from "./relay.ts";

/** Streamed frames between two that ask for a sign of life, over pipes. */
const FRAMES_PER_PING = 5;
/** Characters of an error that are told. */
const ERROR_LENGTH = 65_536;
const NOTHING = new Uint8Array(0);
const STOP_ANSWER = new TextEncoder().encode('{"stop":true}');

/**
 * Thrown by a handler that wants its worker to be replaced: the supervisor starts another one and
 * gives it this same request.
 */
export class ReplaceWorker extends Error {
  override readonly name = "ReplaceWorker";
}

/** A request, and the way to answer it. */
export class Turn {
  readonly flags: number;
  readonly context: Uint8Array;
  readonly body: Uint8Array;
  /** Called at once when the supervisor wants no more of a streamed answer. */
  onStop: (() => void) | undefined;
  /** True when that has been so already. */
  stopped = false;

  readonly #relay: Relay;
  readonly #pings: boolean;
  #streamed = 0;
  #pinging = false;
  #answered = false;

  constructor(
    relay: Relay,
    pings: boolean,
    request: { flags: number; context: Uint8Array; body: Uint8Array },
  ) {
    this.#relay = relay;
    this.#pings = pings;
    this.flags = request.flags;
    this.context = request.context;
    this.body = request.body;
  }

  /** True once the last frame is on its way. */
  get answered(): boolean {
    return this.#answered;
  }

  /** The answer, or the last part of a streamed one. */
  async answer(flags: number, context: Uint8Array, body: Uint8Array = NOTHING): Promise<void> {
    this.#answered = true;
    await this.#relay.send(encode(flags, 0, [context.length], context, body), false);
  }

  /** A part of an answer; more follow. @throws Error when the last one is out */
  async part(flags: number, context: Uint8Array, body: Uint8Array = NOTHING): Promise<void> {
    if (this.#answered) throw new Error("the request was answered already");
    const ping = this.#pings && !this.#pinging && this.#streamed >= FRAMES_PER_PING;
    this.#streamed = ping ? 1 : this.#streamed + 1;
    if (ping) this.#pinging = true;
    const bits = Bit.stream | (ping ? Bit.ping : 0);
    await this.#relay.send(encode(flags, bits, [context.length], context, body), true);
  }

  /** The answer of a request that could not be answered, also in the middle of a stream. */
  async fail(error: unknown): Promise<void> {
    this.#answered = true;
    if (error instanceof ReplaceWorker && this.#streamed === 0) {
      await this.#relay.send(encode(0, 0, [STOP_ANSWER.length], STOP_ANSWER, NOTHING), false);
    } else {
      const text = new TextEncoder().encode(textOf(error));
      await this.#relay.send(encode(Flag.error, 0, [], text, NOTHING), false);
    }
  }

  /** The supervisor wants no more of this answer. */
  stop(): void {
    this.stopped = true;
    this.onStop?.();
  }

  /** The sign of life came. */
  pong(): void {
    this.#pinging = false;
  }
}

/** An error as a person reads it in the log. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`.slice(0, ERROR_LENGTH);
  return (error.stack ?? `${error.name}: ${error.message}`).slice(0, ERROR_LENGTH);
}
