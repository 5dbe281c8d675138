/**
 * Deduplication keys, each remembered for a window.
 *
 * Invariant: a key is fresh exactly when it was not remembered within the window before; never more
 * than MAX_KEYS are kept.
 */

/** Keys of one pipeline. */
export const MAX_KEYS = 1_000_000;

/** See the file's comment. Times are clock milliseconds. */
export class UniqueKeys {
  /** When each is forgotten; those of one window in order of that. */
  readonly #until = new Map<string, number>();

  /** Of `jobs` those whose key is fresh; of several with one key the first. */
  fresh<T extends { unique?: string }>(jobs: readonly T[], now: number): readonly T[] {
    this.#forget(now);
    const seen = new Set<string>();
    return jobs.filter(({ unique }) => {
      if (unique === undefined) return true;
      if (this.#until.has(unique) || seen.has(unique)) return false;
      seen.add(unique);
      return true;
    });
  }

  /** Whether as many more may be remembered. */
  mayGrow(by: number): boolean {
    return this.#until.size + by <= MAX_KEYS;
  }

  remember(key: string, until: number): void {
    // Set anew, it goes behind all that are forgotten before it.
    this.#until.delete(key);
    this.#until.set(key, until);
  }

  #forget(now: number): void {
    for (const [key, until] of this.#until) {
      if (until > now) return;
      this.#until.delete(key);
    }
  }
}
