/**
 * Work that is done one after the other, in the order in which it came.
 *
 * Invariant: one that fails costs those behind it nothing.
 */

import { abortable } from "../../lib/core/clock.ts";

/** See the file's comment. */
export class InTurn {
  #last: Promise<void> = Promise.resolve();

  /** Resolves when all that came so far is over. */
  get idle(): Promise<void> {
    return this.#last;
  }

  /** After what came before. `signal`: aborted before its turn, it is not begun. */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last;
    const mine = abortable(before, signal).then(work);
    const over = mine.then(() => {}, () => {}); // whoever asked hears of it
    this.#last = before.then(() => over);
    return mine;
  }

  /**
   * As run(), for work that cannot be stopped: whoever leaves leaves at once, and `left` gets what then
   * still comes. @throws the signal's reason, or what went wrong
   */
  async lend<T>(work: () => Promise<T>, signal: AbortSignal, left: (it: T) => void): Promise<T> {
    const mine = this.run(work);
    try {
      return await abortable(mine, signal);
    } catch (error) {
      if (signal.aborted) mine.then(left, () => {}); // it has failed, so there is nothing
      throw error;
    }
  }
}
