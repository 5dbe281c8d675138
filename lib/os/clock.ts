/**
 * The real clock: the one place where timers and the wall clock are touched.
 *
 * Invariant: a timer of any length fires once and never early; a pending timer keeps the process
 * alive, so what waits for it is never cut short by a loop that runs empty.
 */

import type { Clock, Timer } from "../core/clock.ts";

/** The longest single setTimeout; a longer one would fire at once. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** The clock of this machine. */
export const realClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  timer: (ms, run) => new RealTimer(ms, run),
};

class RealTimer implements Timer {
  #handle: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number, run: () => void) {
    this.#arm(performance.now() + Math.max(0, ms), run);
  }

  #arm(due: number, run: () => void): void {
    const left = due - performance.now();
    if (left <= LONGEST_TIMEOUT) this.#handle = setTimeout(run, Math.max(0, Math.ceil(left)));
    else this.#handle = setTimeout(() => this.#arm(due, run), LONGEST_TIMEOUT);
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}
