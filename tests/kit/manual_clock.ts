/**
 * A clock that stands still until a test moves it: tests of timed things need no sleeping.
 *
 * Invariant: callbacks run in order of their due time, those of the same moment in order of their
 * making, never inside `timer()` itself, and `now()` inside a callback is its due time. Time passes
 * only by `advance` (promises get their turn on the way) and `tick` (they do not).
 */

import { setImmediate } from "node:timers";
import type { Clock, Timer } from "../../lib/core/clock.ts";

/** Callbacks of one move before it is taken for an endless loop of timers of 0 ms. */
const MAX_CALLBACKS = 1_000_000;

interface Due {
  at: number;
  run: () => void;
}

/** Time by hand; begins at 0. */
export class ManualClock implements Clock {
  #now = 0;
  /** Sorted by due time; a new one goes behind those of the same moment. */
  readonly #due: Due[] = [];
  #epoch: number;

  /** `epoch`: what wall() says at the beginning, milliseconds since 1970. */
  constructor(epoch = Date.UTC(2030, 0, 1)) {
    this.#epoch = epoch;
  }

  /** Timers that wait: 0 when every one ran or was cancelled. */
  get pending(): number {
    return this.#due.length;
  }

  /** Milliseconds until the next timer is due; undefined when none waits. */
  get next(): number | undefined {
    return this.#due.length === 0 ? undefined : this.#due[0].at - this.#now;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#epoch + this.#now;
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
   * Lets `ms` milliseconds pass: runs what falls due on the way, also what is set meanwhile. Before
   * the first callback, after each, and at the end every promise that can settle does.
   */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await turn();
    for (let ran = 0; this.#runNext(until); ran++) {
      mayGoOn(ran);
      await turn();
    }
    this.#moveTo(until);
    await turn();
  }

  /** As advance(), in one synchronous move: promises settle only after it. */
  tick(ms: number): void {
    const until = this.#now + ms;
    for (let ran = 0; this.#runNext(until); ran++) mayGoOn(ran);
    this.#moveTo(until);
  }

  /** Lets the wall clock jump (a correction by NTP, a date set by hand); `now()` does not move. */
  jumpWall(ms: number): void {
    this.#epoch += ms;
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
    this.#now = Math.max(this.#now, at);
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
