/**
 * Deduplication keys, each remembered for a window: the pipeline's, or the job's own.
 *
 * Invariant: a key is fresh exactly when it was not remembered within the window before; never more
 * than MAX_KEYS are kept.
 */

import type { Job } from "./driver.ts";

/** Keys of one pipeline. */
export const MAX_KEYS = 1_000_000;

/** See the file's comment. Times are clock milliseconds. */
export class UniqueKeys {
  /** When each is forgotten; by windows, in order of that within each. */
  readonly #windows = new Map<number, Map<string, number>>();
  #size = 0;

  /**
   * Of `jobs` those whose key is fresh; of several with one key the first.
   * @param window the pipeline's; undefined: only jobs that bring a window of their own have keys
   */
  fresh(jobs: readonly Job[], window: number | undefined, now: number): readonly Job[] {
    this.#forget(now);
    const seen = new Set<string>();
    return jobs.filter((job) => {
      if (windowOf(job, window) === undefined) return true;
      const key = job.unique!;
      if (seen.has(key) || this.#remembers(key)) return false;
      seen.add(key);
      return true;
    });
  }

  /** Whether as many more may be remembered. */
  mayGrow(by: number): boolean {
    return this.#size + by <= MAX_KEYS;
  }

  /** From now on the job's key is not fresh any more, if it has one. */
  remember(job: Job, window: number | undefined, now: number): void {
    const own = windowOf(job, window);
    if (own === undefined) return;
    let keys = this.#windows.get(own);
    if (keys === undefined) {
      keys = new Map();
      this.#windows.set(own, keys);
    }
    keys.set(job.unique!, now + own);
    this.#size++;
  }

  #remembers(key: string): boolean {
    for (const keys of this.#windows.values()) if (keys.has(key)) return true;
    return false;
  }

  #forget(now: number): void {
    for (const [window, keys] of this.#windows) {
      for (const [key, until] of keys) {
        if (until > now) break;
        keys.delete(key);
        this.#size--;
      }
      if (keys.size === 0) this.#windows.delete(window);
    }
  }
}

function windowOf({ unique, unique_window }: Job, window: number | undefined): number | undefined {
  return unique === undefined ? undefined : unique_window ?? window;
}
