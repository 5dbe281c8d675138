/**
 * When a program that ended by itself is started again: the budget (lib/core/backoff.ts) and the
 * wait.
 *
 * Invariant: at most one wait is on; none is on while the program runs.
 */

import { freshHistory, nextTry, type RetryPolicy, stayedUp } from "../core/backoff.ts";
import { type Clock, stamp, type Timer } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";

/** The restarts of one process. */
export class Restarts {
  readonly #clock: Clock;
  #history = freshHistory();
  #wait: { timer: Timer; at: string } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** When the next try is due, ISO 8601; undefined: none is planned. */
  get nextAt(): string | undefined {
    return this.#wait?.at;
  }

  /** Somebody starts it by hand: earlier tries count no more. */
  forgive(): void {
    this.#history = freshHistory();
  }

  /** A run ended after `ms` milliseconds. */
  ran(policy: RetryPolicy, ms: number): void {
    stayedUp(policy, this.#history, ms);
  }

  /**
   * Plans the next try.
   *
   * @returns how long it waits before it calls `due`; or, with the budget used, the number of tries
   */
  plan(policy: RetryPolicy, due: () => void): { delay_ms: number } | { tries: number } {
    const retry = nextTry(policy, this.#history, this.#clock.now());
    if ("giveUp" in retry) return { tries: retry.tries };
    const delay_ms = Math.round(retry.delay);
    const timer = this.#clock.timer(delay_ms, () => {
      this.#wait = undefined;
      due();
    });
    this.#wait = { timer, at: stamp(this.#clock.wall() + delay_ms) };
    return { delay_ms };
  }

  /** Takes the planned try back. */
  disarm(): void {
    this.#wait?.timer.cancel();
    this.#wait = undefined;
  }
}

/** `given up after 5 restarts within 1m`. */
export function describeGivingUp(tries: number, { window }: RetryPolicy): string {
  if (tries === 0) return "not restarted, because max_restarts is 0";
  const time = window > 0 ? ` within ${formatDuration(window)}` : "";
  return `given up after ${tries} restart${tries === 1 ? "" : "s"}${time}`;
}
