/**
 * The one backoff and restart-budget arithmetic: crash restarts, restore retries, redials.
 *
 * Two things are counted apart. The *budget* counts tries inside a window and says when to give up.
 * The *streak* counts tries since the thing last stayed up and sets the wait: a program that crashes
 * once a day starts again after the first delay each time.
 *
 * Invariant: given a history it only decides and records; it never waits, and the history never
 * holds more stamps than the budget needs.
 */

/** The longest wait of all, in force where a policy caps nothing: a day. */
const LONGEST_WAIT = 24 * 3_600_000;

/** What was up for a shorter time has not stayed up, however small the policy's waits. */
const SHORTEST_STAY = 10_000;

/** How long is waited between tries. All durations in milliseconds. */
export interface WaitPolicy {
  /** Wait before the first retry of a streak. */
  delay: number;
  /** The wait is multiplied by this for each try of the streak. */
  backoff_factor: number;
  /** The longest wait; 0: no cap but a day. */
  max_delay: number;
}

/** How often and how fast something may be tried again. */
export interface RetryPolicy extends WaitPolicy {
  /** Tries allowed inside `window`; undefined: no limit; 0: never retry. */
  max_restarts?: number;
  /** Tries older than this leave the budget, milliseconds; 0: never. */
  window: number;
}

/** What is remembered between tries. */
export interface RetryHistory {
  /** Clock milliseconds of the tries inside the window, oldest first; kept only when limited. */
  tries: number[];
  /** Tries since the thing last stayed up. */
  streak: number;
}

/** Wait `delay` milliseconds and try; or give up: the budget is used. */
export type Retry = { delay: number } | { giveUp: true; tries: number };

/** A history without tries: at the start, and after an operator's restart. */
export function freshHistory(): RetryHistory {
  return { tries: [], streak: 0 };
}

/** Decides about the next try and records it in `history`. `now`: clock milliseconds. */
export function nextTry(policy: RetryPolicy, history: RetryHistory, now: number): Retry {
  if (policy.max_restarts !== undefined) {
    if (policy.window > 0) history.tries = history.tries.filter((at) => now - at < policy.window);
    const tries = history.tries.length;
    if (tries >= policy.max_restarts) return { giveUp: true, tries };
    history.tries.push(now);
  }
  return { delay: nextWait(policy, history) };
}

/** The wait before the next try of what is never given up, milliseconds; recorded in `history`. */
export function nextWait(policy: WaitPolicy, history: RetryHistory): number {
  const cap = policy.max_delay > 0 ? policy.max_delay : LONGEST_WAIT;
  // In a long streak the power is Infinity; times a delay of 0 it would be no number at all.
  const grown = policy.delay === 0 ? 0 : policy.delay * policy.backoff_factor ** history.streak;
  history.streak++;
  return Math.min(cap, grown);
}

/**
 * Tells the history that the thing was up for `ms` milliseconds before it ended. As long as the
 * policy's `max_delay`, and at least ten seconds, counts as "stayed up" and ends the streak.
 */
export function stayedUp(policy: WaitPolicy, history: RetryHistory, ms: number): void {
  if (ms >= Math.max(policy.max_delay, SHORTEST_STAY)) history.streak = 0;
}
