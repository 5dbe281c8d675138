/**
 * Those who wait for something, first come, first served.
 *
 * Invariant: each gets what it waits for, its signal's reason or a refusal, once; after that it is
 * forgotten.
 */

interface Waiter<T, W> {
  readonly wants: W;
  give(it: T): void;
  refuse(error: unknown): void;
}

/** They wait for a `T`; `W`: what each of them wants. */
export class Waiters<T, W = void> {
  readonly #all = new Set<Waiter<T, W>>();

  get size(): number {
    return this.#all.size;
  }

  /** What the one that came first wants; only while there is one. */
  get first(): W | undefined {
    return this.#all.values().next().value?.wants;
  }

  /** One more. `gone`: its signal was aborted. @throws the signal's reason, or the refusal */
  wait(wants: W, signal?: AbortSignal, gone?: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#all.delete(waiter);
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => {
        leave();
        reject(signal!.reason);
        gone?.();
      };
      const waiter: Waiter<T, W> = {
        wants,
        give: (it) => {
          leave();
          resolve(it);
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      if (signal?.aborted) return reject(signal.reason);
      this.#all.add(waiter);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Serves them in their order, as long as `next` has something for them. */
  serve(next: (wants: W) => T | undefined): void {
    for (const { wants, give } of this.#all) {
      const it = next(wants);
      if (it === undefined) return;
      give(it);
    }
  }

  /** None of them gets any. */
  refuse(error: unknown): void {
    for (const { refuse } of this.#all) refuse(error);
  }
}
