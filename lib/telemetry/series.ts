/**
 * The series of one metric: which combinations of label values there are.
 *
 * Invariant: never more than the bound; a combination once admitted stays admitted.
 */

/** What stands between label values in a key; no value is changed by it. */
const BETWEEN = "\0";

/** See the file's comment. */
export class Series {
  readonly #known = new Set<string>();

  constructor(readonly bound: number) {}

  get size(): number {
    return this.#known.size;
  }

  /** True when this combination is known or there is room for it. */
  admit(labels: readonly string[]): boolean {
    const key = labels.join(BETWEEN);
    if (this.#known.has(key)) return true;
    if (this.#known.size >= this.bound) return false;
    this.#known.add(key);
    return true;
  }

  clear(): void {
    this.#known.clear();
  }
}
