/**
 * Deadlines of many connections with one coarse timer instead of a timer per request.
 *
 * Invariant: the timer runs only while something is watched; a deadline is noticed at most one tick
 * late. `now` is the clock as of the last tick: reading it costs nothing, and stamps taken from it
 * are at most one tick early.
 */

import type { Clock, Timer } from "../core/clock.ts";

/** How coarse deadlines are, in milliseconds. */
export const TICK = 250;

/** Something with deadlines. */
export interface Watched {
  /** Called every tick with the clock's milliseconds. Must not throw. */
  sweep(now: number): void;
}

/** Calls everything watched, every `TICK` milliseconds. */
export class Sweeper<W extends Watched = Watched> {
  now: number;
  readonly #clock: Clock;
  readonly #watched = new Set<W>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.now = clock.now();
  }

  get size(): number {
    return this.#watched.size;
  }

  [Symbol.iterator](): Iterator<W> {
    return this.#watched.values();
  }

  add(watched: W): void {
    this.#watched.add(watched);
    if (this.#timer !== undefined) return;
    this.now = this.#clock.now();
    this.#timer = this.#clock.timer(TICK, this.#tick);
  }

  delete(watched: W): void {
    this.#watched.delete(watched);
    if (this.#watched.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #tick = (): void => {
    this.now = this.#clock.now();
    this.#timer = this.#clock.timer(TICK, this.#tick);
    for (const watched of this.#watched) watched.sweep(this.now);
  };
}
