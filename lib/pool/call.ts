/**
 * A request on its way through the pool.
 *
 * | state    | entered by        | cancel()                                          |
 * | -------- | ----------------- | ------------------------------------------------- |
 * | waiting  | –                 | leaves the queue, is refused `cancelled`          |
 * | sent     | a worker took it  | is refused `cancelled`; the answer is thrown away |
 * | answered | the first part    | the worker is told to stop                        |
 * | over     | refused, cancelled | –                                                |
 *
 * Invariant: `answer` settles exactly once, and an answer that nobody waits for any more is ended here.
 */

import { formatSize } from "../core/size.ts";
import { MAX_PAYLOAD } from "../goridge/codes.ts";
import type { Asker } from "./exchange.ts";
import { type Answer, type PoolCall, PoolError, type PoolRequest } from "./types.ts";
import type { Worker } from "./worker.ts";

/** Why a request cannot be sent to any worker; undefined: it can. */
export function unsendable({ context, body }: PoolRequest): string | undefined {
  const size = body.reduce((sum, part) => sum + part.length, context.length);
  // RoadRunner sends no such frame either; PHP takes it for the order to stop.
  if (size === 0) return "a request needs a context or a body";
  if (size <= MAX_PAYLOAD) return undefined;
  return `a request of ${formatSize(size)} is more than a frame may hold (${
    formatSize(MAX_PAYLOAD)
  })`;
}

/** What a call asks of its pool. */
export interface CallHome {
  /** It does not wait any more. */
  left(call: Call): void;
  /** The worker asked to be replaced instead of answering. False: it was asked too often. */
  again(call: Call): boolean;
  /** It was refused. */
  refused(error: PoolError): void;
}

/** See the file's comment. */
export class Call implements PoolCall, Asker {
  readonly answer: Promise<Answer>;
  /** Workers that asked to be replaced instead of answering. */
  stops = 0;
  /** Since when it waits, and when it will have waited too long; clock milliseconds. */
  since: number;
  deadline: number;
  readonly #answer = Promise.withResolvers<Answer>();
  readonly #home: CallHome;
  #state: "waiting" | "sent" | "answered" | "over" = "waiting";
  #answered: Answer | undefined;

  constructor(readonly request: PoolRequest, home: CallHome, since: number, deadline: number) {
    this.#home = home;
    this.since = since;
    this.deadline = deadline;
    this.answer = this.#answer.promise;
  }

  get waiting(): boolean {
    return this.#state === "waiting";
  }

  /** A worker takes it. */
  send(worker: Worker): void {
    this.#state = "sent";
    worker.exec(this.request, this);
  }

  answered(answer: Answer): void {
    if (this.#state === "over") return answer.cancel();
    this.#state = "answered";
    this.#answered = answer;
    this.#answer.resolve(answer);
  }

  failed(error: PoolError): void {
    if (this.#state === "over") return;
    if (error.kind === "stopping") {
      this.#state = "waiting";
      if (this.#home.again(this)) return;
    }
    this.refuse(error);
  }

  /** It will not be answered. */
  refuse(error: PoolError): void {
    this.#state = "over";
    this.#answer.reject(error);
    this.#home.refused(error);
  }

  cancel(): void {
    const state = this.#state;
    this.#state = "over";
    if (state === "answered") return this.#answered!.cancel();
    if (state === "over") return;
    if (state === "waiting") this.#home.left(this);
    // Who cancels may have stopped listening before.
    this.answer.catch(() => {});
    this.#answer.reject(new PoolError("cancelled", "the request was cancelled"));
  }
}
