/**
 * One timer for many deadlines.
 *
 * Deadlines of a pool are "now plus a setting" and therefore come nearly in order: once the timer is
 * set for the first of them, later ones cost nothing. Meeting one early costs nothing either: the
 * timer runs, finds nothing due, and is set for the next.
 *
 * Invariant: `look` is called at every moment that `by` named, or before, and never after close().
 */

import type { Clock, Timer } from "../core/clock.ts";

/** See the file's comment. */
export class Alarm {
  readonly #clock: Clock;
  readonly #look: (now: number) => number;
  #timer: Timer | undefined;
  #due = Infinity;
  #closed = false;

  /** `look` does what is due and says when the next is (clock milliseconds; Infinity: nothing). */
  constructor(clock: Clock, look: (now: number) => number) {
    this.#clock = clock;
    this.#look = look;
  }

  /** Looks at `at` (clock milliseconds) at the latest. */
  by(at: number): void {
    if (at >= this.#due || this.#closed) return;
    this.#timer?.cancel();
    this.#due = at;
    this.#timer = this.#clock.timer(Math.max(0, at - this.#clock.now()), () => {
      this.#due = Infinity;
      this.by(this.#look(this.#clock.now()));
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
