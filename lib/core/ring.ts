/**
 * The last N of something.
 *
 * Invariant: never holds more than `capacity` items (0: none at all); `dropped` counts what left.
 */
export class Ring<T> {
  #items: T[] = [];
  #next = 0;
  dropped = 0;

  constructor(readonly capacity: number) {}

  /** Adds one item, pushing out the oldest when full. */
  push(item: T): void {
    if (this.#items.length < this.capacity) {
      this.#items.push(item);
      return;
    }
    this.dropped++;
    if (this.capacity === 0) return;
    this.#items[this.#next] = item;
    this.#next = (this.#next + 1) % this.capacity;
  }

  /** All items, oldest first. */
  list(): T[] {
    return [...this.#items.slice(this.#next), ...this.#items.slice(0, this.#next)];
  }

  /** How many items are held. */
  get length(): number {
    return this.#items.length;
  }
}
