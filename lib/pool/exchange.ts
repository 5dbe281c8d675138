/**
 * One request at a worker, and its answer part by part.
 *
 * | state     | entered by       | what comes in                    | the reader                        |
 * | --------- | ---------------- | -------------------------------- | --------------------------------- |
 * | asked     | –                | goes to the asker: it is the answer | reads on                       |
 * | streaming | a part with more | is handed to next(), or kept     | pauses while one part is kept     |
 * | cancelled | cancel()         | is thrown away                   | reads on                          |
 * | over      | the last part, fail() | –                           | –                                 |
 *
 * Invariants: the asker is answered or refused exactly once; parts come in order and none is lost
 * unless cancelled; at most one part is kept, so a client that reads slowly costs no memory; a failure
 * comes after the parts that were there before it.
 */

import type { Split } from "../goridge/exchange.ts";
import type { Answer, AnswerPart, PoolError, PoolRequest } from "./types.ts";

const NOTHING = new Uint8Array(0);

/** Whoever asked. One of both is called, once. */
export interface Asker {
  answered(answer: Answer): void;
  failed(error: PoolError): void;
}

/** What an exchange tells its worker. */
export interface Listener {
  readonly pid: number;
  /** The rest is not wanted. */
  cancelled(): void;
  /** The reader may read on, or shall wait: the worker is waited for only while it reads. */
  paused(is: boolean): void;
}

/** See the file's comment. */
export class Exchange implements Answer {
  flags = 0;
  context: Uint8Array = NOTHING;
  body: Uint8Array = NOTHING;
  more = false;
  readonly pid: number;
  #state: "asked" | "streaming" | "cancelled" | "over" = "asked";
  #kept: AnswerPart | undefined;
  #taker: PromiseWithResolvers<AnswerPart | undefined> | undefined;
  #pause: PromiseWithResolvers<void> | undefined;
  #error: PoolError | undefined;

  constructor(
    readonly request: PoolRequest,
    readonly asker: Asker,
    private readonly listener: Listener,
  ) {
    this.pid = listener.pid;
  }

  /** The first part has come. */
  get begun(): boolean {
    return this.#state !== "asked";
  }

  /** Resolves when the reader need not pause any more; undefined: it need not now. */
  get pause(): Promise<void> | undefined {
    return this.#pause?.promise;
  }

  /** A part came. */
  arrived(part: AnswerPart): void {
    if (this.#state === "asked") {
      this.flags = part.flags;
      this.context = part.context;
      this.body = part.body;
      this.more = part.more;
      this.#state = part.more ? "streaming" : "over";
      return this.asker.answered(this);
    }
    if (this.#state === "cancelled") {
      if (!part.more) this.#state = "over";
      return;
    }
    if (!part.more) this.#state = "over";
    if (this.#taker !== undefined) {
      this.#taker.resolve(part);
      this.#taker = undefined;
      return;
    }
    this.#kept = part;
    if (!part.more) return;
    this.#pause = Promise.withResolvers();
    this.listener.paused(true);
  }

  /** There will be no (further) part. */
  fail(error: PoolError): void {
    const state = this.#state;
    if (state === "over") return;
    this.#state = "over";
    this.#resume();
    if (state === "asked") return this.asker.failed(error);
    if (state === "cancelled") return;
    this.#error = error;
    this.#taker?.reject(error);
    this.#taker = undefined;
  }

  next(): Promise<AnswerPart | undefined> {
    const kept = this.#kept;
    if (kept !== undefined) {
      this.#kept = undefined;
      this.#resume();
      return Promise.resolve(kept);
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#state !== "streaming") return Promise.resolve(undefined);
    this.#taker ??= Promise.withResolvers();
    return this.#taker.promise;
  }

  cancel(): void {
    this.#kept = undefined;
    if (this.#state !== "streaming") return;
    this.#state = "cancelled";
    this.#taker?.resolve(undefined);
    this.#taker = undefined;
    this.listener.cancelled();
    this.#resume();
  }

  #resume(): void {
    if (this.#pause === undefined) return;
    this.#pause.resolve();
    this.#pause = undefined;
    this.listener.paused(false);
  }
}

const LEAVES = new TextEncoder().encode('{"stop":true}');

/** Whether an answer says that the worker will not answer, and wants to be replaced. */
export function isStop({ context, body }: Split): boolean {
  return body.length === 0 && context.length === LEAVES.length &&
    context.every((byte, at) => byte === LEAVES[at]);
}
