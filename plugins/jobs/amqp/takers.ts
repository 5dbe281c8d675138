/**
 * Those who wait for jobs, first come, first served.
 *
 * Invariant: each gets jobs, its signal's reason or a refusal, once; after that it is forgotten.
 */

import type { Delivery } from "../driver.ts";

interface Taker {
  readonly most: number;
  give(jobs: Delivery[]): void;
  refuse(error: Error): void;
}

/** See the file's comment. */
export class Takers {
  readonly #all = new Set<Taker>();

  get size(): number {
    return this.#all.size;
  }

  /** `gone`: its signal was aborted. @throws the signal's reason, or the refusal */
  wait(most: number, signal: AbortSignal, gone: () => void): Promise<Delivery[]> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#all.delete(taker);
        signal.removeEventListener("abort", abort);
      };
      const abort = () => {
        leave();
        reject(signal.reason);
        gone();
      };
      const taker: Taker = {
        most,
        give: (jobs) => {
          leave();
          resolve(jobs);
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      this.#all.add(taker);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  /** Serves them, as long as `next` has jobs. */
  serve(next: (most: number) => Delivery[]): void {
    for (const taker of this.#all) {
      const jobs = next(taker.most);
      if (jobs.length === 0) return;
      taker.give(jobs);
    }
  }

  refuse(error: Error): void {
    for (const taker of [...this.#all]) taker.refuse(error);
  }
}
