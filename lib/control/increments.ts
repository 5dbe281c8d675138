/**
 * Turns counts that somebody keeps into a counter that only goes up: generations come and go, each
 * counting from nothing, and the counter is the sum of all.
 *
 * Invariant: never counts anything twice; remembers a bounded number of sources; what a source
 * counted after it was asked for the last time is not known.
 */

import type { Counter } from "../telemetry/metrics.ts";

/** Sources that are remembered; the ones not seen for longest go first. */
const MAX_SOURCES = 1000;

/** See the file's comment. */
export class Increments {
  readonly #counter: Counter;
  readonly #seen = new Map<string, number>();

  constructor(counter: Counter) {
    this.#counter = counter;
  }

  /** The only source with these labels has counted so far. */
  reached(count: number, ...labels: string[]): void {
    this.reachedBy(labels.join(" "), count, ...labels);
  }

  /** A source has counted so far; a smaller number than before is a new beginning. */
  reachedBy(source: string, count: number, ...labels: string[]): void {
    const before = this.#seen.get(source) ?? 0;
    this.#seen.delete(source);
    this.#seen.set(source, count);
    if (this.#seen.size > MAX_SOURCES) this.#seen.delete(this.#seen.keys().next().value!);
    this.#counter.add(count >= before ? count - before : count, ...labels);
  }
}
