/**
 * One schedule: waits for its runs and pushes them.
 *
 * | state   | event                        | then                                               |
 * | ------- | ---------------------------- | -------------------------------------------------- |
 * | waiting | its time, or LOOK has passed | plan.ts says what is to be done                    |
 * | pushing | stored                       | that run is over; waiting                          |
 * | pushing | refused                      | again after a backoff, until the next run is due   |
 * | pushing | the next run is due          | this one was missed; waiting                       |
 * | any     | end()                        | over; a push under way is left to its end          |
 *
 * Invariant: a run is told to the book after it was stored, so that a crash in between pushes it again
 * and loses none; the key that it is pushed with lets drivers that know keys store it once, also for
 * the same schedule on another machine.
 */

import { cronOf, type ScheduleConfig } from "../../../lib/config/roadrunner/jobs_schedules.ts";
import { freshHistory, nextWait, type WaitPolicy } from "../../../lib/core/backoff.ts";
import { type Clock, sleep, type Timer } from "../../../lib/core/clock.ts";
import { messageOf } from "../../../lib/core/failure.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import type { JobsEngine, ScheduleInfo } from "../engine.ts";
import { nextRun, planOf, type Runs, TOO_FAR } from "./plan.ts";

/** The wall clock is looked at so often at least: it may have been set. */
const LOOK = 60_000;

const PUSH_AGAIN: WaitPolicy = { delay: 1000, backoff_factor: 2, max_delay: 60_000 };

/** What it lives in. */
export interface ScheduleHost {
  readonly clock: Clock;
  readonly emit: Emit;
  push: JobsEngine["push"];
  /** A run is over; wall milliseconds. */
  settled(last: number): void;
}

/** See the file's comment. */
export class Schedule {
  readonly #runs: Runs;
  readonly #end = new AbortController();
  #timer: Timer | undefined;
  #next: number | undefined;
  #pushed: number | undefined;
  #error: string | undefined;

  /** @param last the last run that was pushed or given up, or now */
  constructor(
    readonly name: string,
    public config: ScheduleConfig,
    readonly host: ScheduleHost,
    public last: number,
  ) {
    this.#runs = cronOf(config);
    this.#look();
  }

  get info(): ScheduleInfo {
    const { cron, timezone, pipeline, job } = this.config;
    return {
      name: this.name,
      cron,
      timezone,
      pipeline,
      job,
      next_run_at: this.#next,
      last_run_at: this.#pushed,
      error: this.#error,
    };
  }

  /** Nothing more is pushed. */
  end(): void {
    this.#timer?.cancel();
    this.#end.abort();
  }

  #look(): void {
    const { clock, emit } = this.host;
    const now = clock.wall();
    const { push, missed, last, anew } = planOf(this.#runs, this.config.missed, this.last, now);
    if (anew) this.#settle(now);
    if (missed > 0) emit("schedule_missed", { schedule: this.name, runs: missed });
    if (push !== undefined) return void this.#run(push);
    if (last !== this.last) this.#settle(last);
    this.#wait();
  }

  #wait(): void {
    const { clock } = this.host;
    const now = clock.wall();
    this.#next = nextRun(this.#runs, this.last, now);
    const ms = this.#next === undefined ? LOOK : Math.min(LOOK, Math.max(0, this.#next - now));
    this.#timer = clock.timer(ms, () => this.#look());
  }

  async #run(due: number): Promise<void> {
    const { clock, emit } = this.host;
    const { signal } = this.#end;
    const { pipeline, job } = this.config;
    const after = nextRun(this.#runs, due, due);
    const tries = freshHistory();
    while (!signal.aborted) {
      try {
        await this.#push(due);
        this.#pushed = due;
        this.#error = undefined;
        emit("schedule_pushed", { schedule: this.name, pipeline, job, due: stamp(due) });
        break;
      } catch (error) {
        if (signal.aborted) return;
        this.#error = messageOf(error);
        const ms = nextWait(PUSH_AGAIN, tries);
        if (after !== undefined && clock.wall() + ms >= after) {
          emit("schedule_failed", { schedule: this.name, due: stamp(due), error: this.#error });
          break;
        }
        await sleep(clock, ms, signal).catch((reason) => {
          if (!signal.aborted) throw reason;
        });
      }
    }
    this.#settle(due);
    if (!signal.aborted) this.#look();
  }

  async #push(due: number): Promise<void> {
    const { pipeline, job: name, payload } = this.config;
    const at = stamp(due);
    const id = `${this.name}-${at}`;
    await this.host.push(pipeline, [{
      id,
      name,
      payload: new TextEncoder().encode(payload),
      headers: { schedule: [this.name], due: [at] },
      unique: `schedule ${id}`,
      // As long as any clock may be off.
      unique_window: TOO_FAR,
    }]);
  }

  #settle(last: number): void {
    this.last = last;
    this.host.settled(last);
  }
}

function stamp(wall: number): string {
  return new Date(wall).toISOString();
}
