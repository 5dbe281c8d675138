/**
 * When a schedule runs, and which of its runs were missed.
 *
 * | now is                             | then                                                      |
 * | ---------------------------------- | --------------------------------------------------------- |
 * | before the next run                | nothing                                                   |
 * | up to LATE after a run             | that one is pushed; those before it were missed           |
 * | later                              | all were missed: none is pushed, or the last one (`once`) |
 * | before the last run (clock back)   | nothing, until the clock is where it was                  |
 * | more than TOO_FAR before it        | the clock was wrong then: it begins anew from now         |
 *
 * Invariants: pure; no run is pushed twice, whatever the wall clock does. Times are wall milliseconds
 * since 1970. Where clocks change, croner's rule holds: an hour that is left out runs its jobs after
 * it, an hour that comes twice runs jobs of a fixed hour once.
 */

import type { ScheduleConfig } from "../../../lib/config/roadrunner/jobs_schedules.ts";

/** How late a run may be pushed as if it were on time: a restart of the daemon, a busy machine. */
export const LATE = 60_000;

/** A last run further ahead of the clock than this was made by a clock that was wrong. */
export const TOO_FAR = 24 * 3_600_000;

/** More missed runs than this are not counted one by one: each costs a tenth of a millisecond. */
export const MAX_COUNTED = 100;

/** The runs of a cron line, as croner has them. */
export interface Runs {
  nextRun(after: Date): Date | null;
  previousRuns(count: number, before: Date): Date[];
}

/** What is to be done now. */
export interface Plan {
  /** The run to push; undefined: none. */
  push?: number;
  /** Runs that nobody pushes; MAX_COUNTED: that many or more. */
  missed: number;
  /** The last run that is settled once `push` is. */
  last: number;
  /** The clock was wrong before. */
  anew: boolean;
}

/** @param last the last run that was pushed or given up, or when the schedule began */
export function planOf(
  runs: Runs,
  missed: ScheduleConfig["missed"],
  last: number,
  now: number,
): Plan {
  if (last > now + TOO_FAR) return { missed: 0, last: now, anew: true };
  const due = count(runs, last, now);
  if (due === 0) return { missed: 0, last, anew: false };
  // Runs are at whole seconds, and the one at this very second counts.
  const [latest] = runs.previousRuns(1, new Date(Math.floor(now / 1000) * 1000 + 1000));
  const at = latest.getTime();
  const isPushed = now - at <= LATE || missed === "once";
  const plan = { missed: isPushed ? due - 1 : due, last: at, anew: false };
  return isPushed ? { ...plan, push: at } : plan;
}

/** The run after the last one; undefined: there is none. */
export function nextRun(runs: Runs, last: number, now: number): number | undefined {
  return runs.nextRun(new Date(Math.max(last, now)))?.getTime();
}

/** Runs after `last`, up to `now`. */
function count(runs: Runs, last: number, now: number): number {
  let at = last;
  for (let found = 0; found < MAX_COUNTED; found++) {
    const next = runs.nextRun(new Date(at))?.getTime();
    if (next === undefined || next > now) return found;
    at = next;
  }
  return MAX_COUNTED;
}
