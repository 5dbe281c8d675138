/**
 * Time, as everything above lib/os sees it: an interface, so that tests bring another clock and
 * need no sleeping.
 *
 * Invariant: durations are measured with `now()` (monotonic); `wall()` is only for showing and for
 * stamps on disk. A wall clock that jumps changes no deadline.
 */

/** A scheduled callback. */
export interface Timer {
  /** Takes the callback back; no effect once it ran. */
  cancel(): void;
}

/** The source of time. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary point. */
  now(): number;
  /** Milliseconds since 1970, for stamps. */
  wall(): number;
  /**
   * Runs `run` once after `ms` milliseconds, at least one turn later. Any length is kept, also one
   * longer than the runtime's own timers; Infinity: never.
   */
  timer(ms: number, run: () => void): Timer;
}

/**
 * Waits `ms` milliseconds.
 *
 * @throws the signal's reason as soon as `signal` is aborted; the timer is gone then.
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal!.reason);
    };
    const timer = clock.timer(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** How `within` ended: the value, or that time ran out. */
export type Within<T> = { done: true; value: T } | { done: false };

/**
 * Waits for `work`, but at most `ms` milliseconds (`undefined`: as long as it takes). The work goes
 * on after a time-out; the caller decides what to do with it.
 */
export function within<T>(
  clock: Clock,
  ms: number | undefined,
  work: Promise<T>,
): Promise<Within<T>> {
  if (ms === undefined) return work.then((value) => ({ done: true, value }));
  return new Promise((resolve, reject) => {
    const timer = clock.timer(ms, () => resolve({ done: false }));
    work.then(
      (value) => {
        timer.cancel();
        resolve({ done: true, value });
      },
      (error) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}

/** A promise with its settlers outside, typed short. */
export type Deferred<T> = PromiseWithResolvers<T>;

/** A wall-clock stamp as everything of ours writes it: ISO 8601, UTC, milliseconds. */
export function stamp(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

/**
 * Waits for `promise` unless `signal` is aborted first. What the promise does after that is nobody's
 * business any more: its rejection is not an unhandled one.
 *
 * @throws the signal's reason.
 */
export function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    // Who asked is gone; `signal.reason` is what it hears, not a later failure of the work.
    promise.catch(() => {});
    return Promise.reject(signal.reason);
  }
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    const leave = () => signal.removeEventListener("abort", onAbort);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(leave);
  });
}
