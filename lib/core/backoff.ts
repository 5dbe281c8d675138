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

/** How often and how fast something may be tried again. All durations in milliseconds. */
export interface RetryPolicy {
  /** Wait before the first retry of a streak. */
  delay: number;
  /** Tries allowed inside `window`; undefined: no limit; 0: never retry. */
  max_restarts?: number;
  /** Tries older than this leave the budget; 0: never. */
  window: number;
  /** The wait is multiplied by this for each try of the streak. */
  backoff_factor: number;
  /** The longest wait; 0: no cap. */
  max_delay: number;
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
  const cap = policy.max_delay > 0 ? policy.max_delay : 24 * 3_600_000;
  const delay = Math.min(cap, policy.delay * policy.backoff_factor ** history.streak);
  history.streak++;
  return { delay };
}

/**
 * Tells the history that the thing was up for `ms` milliseconds before it ended. Longer than the
 * longest wait (and at least ten seconds) counts as "stayed up" and ends the streak.
 */
export function stayedUp(policy: RetryPolicy, history: RetryHistory, ms: number): void {
  if (ms >= Math.max(policy.max_delay, 10_000)) history.streak = 0;
}
