/**
 * A clock that stands still until a test moves it.
 *
 * Invariant: callbacks run in order of their due time, those of the same moment in order of their
 * making, never inside `timer()` itself, and `now()` inside a callback is its due time. Nothing
 * happens between two calls of `advance`.
 */

import { setImmediate } from "node:timers";
import type { Clock, Timer } from "../../lib/core/clock.ts";

/** Callbacks of one advance before it is taken for an endless loop of timers of 0 ms. */
const MAX_CALLBACKS = 1_000_000;

interface Due {
  at: number;
  run: () => void;
}

/** Time by hand. */
export class ManualClock implements Clock {
  #now: number;
  #wall: number;
  /** Sorted by due time; a new one goes behind those of the same moment. */
  readonly #due: Due[] = [];

  /** @param wall what `wall()` says at the start; it then moves with `now()`. */
  constructor(now = 0, wall = Date.UTC(2026, 0, 1)) {
    this.#now = now;
    this.#wall = wall;
  }

  /** Callbacks that wait: 0 when every timer ran or was cancelled. */
  get pending(): number {
    return this.#due.length;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wall;
  }

  timer(ms: number, run: () => void): Timer {
    const due: Due = { at: this.#now + Math.max(0, ms), run };
    this.#due.splice(this.#indexAfter(due.at), 0, due);
    return {
      cancel: () => {
        const index = this.#due.indexOf(due);
        if (index >= 0) this.#due.splice(index, 1);
      },
    };
  }

  /**
   * Moves time by `ms` and runs what falls due on the way, also what the callbacks themselves set.
   * Promises settle only after it; code that awaits between two timers wants `elapse`.
   */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (let ran = 0; this.#runNext(until); ran++) mayGoOn(ran);
    this.#moveTo(until);
  }

  /** As advance(), but lets every promise settle before the first, between all, and after the last timer. */
  async elapse(ms: number): Promise<void> {
    const until = this.#now + ms;
    await turn();
    for (let ran = 0; this.#runNext(until); ran++) {
      mayGoOn(ran);
      await turn();
    }
    this.#moveTo(until);
    await turn();
  }

  /** Lets the wall clock jump (a correction by NTP, a date set by hand); `now()` does not move. */
  jumpWall(ms: number): void {
    this.#wall += ms;
  }

  /** Runs the earliest callback due by `until`; false: there is none. */
  #runNext(until: number): boolean {
    if (this.#due.length === 0 || this.#due[0].at > until) return false;
    const { at, run } = this.#due.shift()!;
    this.#moveTo(at);
    run();
    return true;
  }

  #moveTo(at: number): void {
    // A callback may have moved time on by itself.
    if (at <= this.#now) return;
    this.#wall += at - this.#now;
    this.#now = at;
  }

  #indexAfter(at: number): number {
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#due[middle].at <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function mayGoOn(ran: number): void {
  if (ran > MAX_CALLBACKS) throw new Error("timers of 0 ms set each other for ever");
}

/** One turn of the event loop: every promise that can settle has settled after it. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
