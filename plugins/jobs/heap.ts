/**
 * A heap: the least of many is at hand, putting and taking cost their logarithm.
 *
 * Invariant: what pop() gives is not after anything that is left; of two that compare equal either may
 * come first, so whoever needs an order among equals has it in the comparison.
 */

/** See the file's comment. */
export class Heap<T> {
  #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  /** `before`: whether `a` comes before `b`. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The least; undefined: it is empty. */
  get first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#before(item, items[above])) break;
      items[at] = items[above];
      at = above;
    }
    items[at] = item;
  }

  /** Takes the least out; undefined: it is empty. */
  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (items.length > 0) this.#sink(last!);
    return first;
  }

  /** Takes out everything that `is`. */
  remove(is: (item: T) => boolean): T[] {
    const all = this.#items;
    const out = all.filter(is);
    if (out.length === 0) return out;
    this.#items = [];
    for (const item of all) if (!is(item)) this.push(item);
    return out;
  }

  /** Puts `item` at the root, and then as far down as it belongs. */
  #sink(item: T): void {
    const items = this.#items;
    const before = this.#before;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && before(items[below + 1], items[below])) below++;
      if (!before(items[below], item)) break;
      items[at] = items[below];
      at = below;
    }
    items[at] = item;
  }
}
