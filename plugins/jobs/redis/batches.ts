/**
 * Items that are sent together: what comes while a batch is on its way goes with the next.
 *
 * Invariants: one batch is on its way at a time, in the order in which items came; a batch has at most
 * MAX_ITEMS items and, but for one that is larger alone, MAX_BYTES bytes; every item ends once.
 */

import type { Failure } from "../../../lib/core/failure.ts";

const MAX_ITEMS = 500;
const MAX_BYTES = 8 * 1024 * 1024;

/** Something to be sent, and who waits for it. */
interface Item<T, R> {
  readonly value: T;
  readonly size: number;
  readonly ended: PromiseWithResolvers<R>;
}

/** See the file's comment. */
export class Batches<T, R> {
  readonly #ready: () => Promise<unknown>;
  readonly #send: (values: T[]) => Promise<R[]>;
  #queue: Item<T, R>[] = [];
  #sending: Promise<void> | undefined;
  #closed: Failure | undefined;

  /**
   * `ready`: resolves when something can be sent, rejects when nothing ever can. `send`: gives a
   * result for each, or throws for all of them.
   */
  constructor(ready: () => Promise<unknown>, send: (values: T[]) => Promise<R[]>) {
    this.#ready = ready;
    this.#send = send;
  }

  /** Resolves when nothing is on its way and nothing waits. */
  get idle(): Promise<void> {
    return this.#sending ?? Promise.resolve();
  }

  /** Sends it with the next batch. `signal`: it is not worth sending any more. */
  add(value: T, size: number, signal?: AbortSignal): Promise<R> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const item: Item<T, R> = { value, size, ended: Promise.withResolvers() };
    this.#queue.push(item);
    this.#sending ??= this.#run();
    if (signal === undefined) return item.ended.promise;
    const abort = () => {
      const at = this.#queue.indexOf(item);
      if (at >= 0) this.#queue.splice(at, 1);
      item.ended.reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    return item.ended.promise.finally(() => signal.removeEventListener("abort", abort));
  }

  /** Nothing more is sent; who waits hears `reason`. */
  close(reason: Failure): void {
    this.#closed = reason;
    for (const { ended } of this.#queue.splice(0)) ended.reject(reason);
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      let batch: Item<T, R>[] = [];
      try {
        // Whoever comes meanwhile goes along, and whoever gives up does not.
        await this.#ready();
        batch = this.#next();
        const results = await this.#send(batch.map(({ value }) => value));
        for (const [at, { ended }] of batch.entries()) ended.resolve(results[at]);
      } catch (error) {
        // Without a batch nothing can be sent to anybody.
        const failed = batch.length > 0 ? batch : this.#queue.splice(0);
        for (const { ended } of failed) ended.reject(error);
      }
    }
    this.#sending = undefined;
  }

  #next(): Item<T, R>[] {
    let count = 0;
    for (let bytes = 0; count < Math.min(this.#queue.length, MAX_ITEMS); count++) {
      bytes += this.#queue[count].size;
      if (count > 0 && bytes > MAX_BYTES) break;
    }
    return this.#queue.splice(0, count);
  }
}
