/**
 * The waits of a stop, which somebody in a hurry can shorten while they run.
 *
 * Invariants: no wait outlives its own limit, nor, once hurried, the common end; being hurried is
 * never taken back, a later call can only move the end nearer. A wait that ended leaves neither
 * timer nor listener behind.
 */

import type { Clock, Timer } from "../core/clock.ts";

/** What a wait is for: steps before the stop proper are left out at once when hurried. */
export type Stage = "before" | "stop";

interface Wait {
  stage: Stage;
  timer: Timer | undefined;
  /** Clock milliseconds; Infinity: as long as it takes. */
  deadline: number;
  expire: () => void;
}

/** One stop's budgets. */
export class Haste {
  readonly #clock: Clock;
  readonly #waits = new Set<Wait>();
  /** Clock milliseconds when patience ends. */
  #end = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True once somebody is in a hurry. */
  get hurried(): boolean {
    return this.#end !== Infinity;
  }

  /** Patience ends `ms` from now at the latest; waits of stage `before` end at once. */
  hurry(ms: number): void {
    this.#end = Math.min(this.#end, this.#clock.now() + Math.max(0, ms));
    for (const wait of [...this.#waits]) this.#arm(wait);
  }

  /**
   * Waits for `work`, at most `ms` milliseconds (Infinity: no limit of its own). The signal that
   * `work` gets is aborted when the wait is over, however it ended.
   *
   * @returns true when the work was done in time
   * @throws what the work threw
   */
  wait(
    stage: Stage,
    ms: number,
    work: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<boolean> {
    if (stage === "before" && this.hurried) return Promise.resolve(false);
    const over = new AbortController();
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const wait: Wait = {
      stage,
      timer: undefined,
      deadline: this.#clock.now() + ms,
      expire: () => end(() => resolve(false)),
    };
    const end = (settle: () => void) => {
      if (!this.#waits.delete(wait)) return;
      wait.timer?.cancel();
      settle();
      over.abort();
    };
    this.#waits.add(wait);
    this.#arm(wait);
    // Once the wait is over its work rejects with our own abort: end() does nothing then.
    work(over.signal).then(() => end(() => resolve(true)), (error) => end(() => reject(error)));
    return promise;
  }

  #arm(wait: Wait): void {
    wait.timer?.cancel();
    wait.timer = undefined;
    if (wait.stage === "before" && this.hurried) return wait.expire();
    const deadline = Math.min(wait.deadline, this.#end);
    if (deadline === Infinity) return;
    const left = deadline - this.#clock.now();
    wait.timer = this.#clock.timer(Math.max(0, left), wait.expire);
  }
}
