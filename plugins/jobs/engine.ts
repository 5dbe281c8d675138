/**
 * What can be asked of the pipelines, by PHP clients and operators.
 *
 * Invariant: types only; `pipelines.ts` implements it. Every failure is a Failure whose text begins as
 * RoadRunner's does where RoadRunner has the same one.
 */

import type { DeadJob, DriverStat, DriverState, JobHeaders } from "./driver.ts";

/** A job that somebody wants done. */
export interface NewJob {
  /** Undefined: a new one is made. */
  readonly id?: string;
  /** The task, usually a class name. */
  readonly name: string;
  readonly payload: Uint8Array;
  readonly headers?: JobHeaders;
  /** Lower is served first; undefined or 0: the pipeline's. */
  readonly priority?: number;
  /** Milliseconds from now. */
  readonly delay?: number;
  readonly auto_ack?: boolean;
  /** Deduplication key, where the pipeline has `unique`; undefined: the header `unique`, if there. */
  readonly unique?: string;
  /** Milliseconds: the key counts even where the pipeline has no `unique`, if its driver knows keys. */
  readonly unique_window?: number;
}

/** How a pipeline is set up, and how it is now. */
export interface PipelineInfo {
  readonly name: string;
  readonly driver: string;
  /** The pool that works for it: `jobs`, `jobs.mail`. */
  readonly pool: string;
  /** Its jobs are given to workers (while a release is live). */
  readonly consuming: boolean;
  /** How its driver is. */
  readonly link: DriverState;
  readonly priority: number;
  /** Declared by a client; gone with this daemon. */
  readonly declared: boolean;
  /** Jobs at workers now. */
  readonly running: number;
  readonly counts: PipelineCounts;
}

/** What became of jobs, since the daemon came up. */
export interface PipelineCounts {
  pushed: number;
  /** Pushes that failed. */
  refused: number;
  /** Deliveries to workers. */
  delivered: number;
  done: number;
  /** Deliveries that a worker or its end made fail. */
  failed: number;
  /** Asked for again by the worker. */
  requeued: number;
  /** Gone to dead letters. */
  dead: number;
  /** Gone for good without being done. */
  dropped: number;
}

/** With the numbers of its driver; undefined: the driver does not know them now. */
export interface PipelineStat extends PipelineInfo {
  readonly stat: DriverStat | undefined;
  /** Why it does not. */
  readonly stat_error?: string;
}

/** A schedule of the configuration, and how it goes. Times: wall milliseconds. */
export interface ScheduleInfo {
  readonly name: string;
  readonly cron: string;
  /** Undefined: the machine's. */
  readonly timezone?: string;
  readonly pipeline: string;
  readonly job: string;
  /** Undefined: a run is under way, or none is to come. */
  readonly next_run_at?: number;
  /** The last that was pushed by this daemon. */
  readonly last_run_at?: number;
  /** Why the last try failed. */
  readonly error?: string;
}

/** See the file's comment. */
export interface JobsEngine {
  /** Synchronous, cheap; sorted as configured, then declared ones. */
  pipelines(): PipelineInfo[];
  /** The driver of a pipeline; undefined: there is no such pipeline. Cheap, for every push. */
  driverOf(pipeline: string): string | undefined;
  /**
   * Stores jobs, all or none; resolves as the driver's promise says, within `jobs.timeout`.
   * @returns their ids
   * @throws Failure: `no such pipeline, requested: X`, or why it could not be stored
   */
  push(pipeline: string, jobs: readonly NewJob[], signal?: AbortSignal): Promise<string[]>;
  /** As RoadRunner's Declare: `name`, `driver` and the keys of a pipeline, all texts. @throws Failure */
  declare(values: Readonly<Record<string, string>>): Promise<void>;
  /** No more of its jobs are given to workers. @throws Failure */
  pause(pipeline: string): Promise<void>;
  /** @throws Failure */
  resume(pipeline: string): Promise<void>;
  /** The pipeline is no more; what is stored durably stays where it lies. @throws Failure */
  destroy(pipeline: string): Promise<void>;
  stat(): Promise<PipelineStat[]>;
  /** Synchronous, cheap. */
  schedules(): ScheduleInfo[];
  /** Dead letters of a pipeline, oldest first, after the one with the id `after`. @throws Failure */
  dead(pipeline: string, most: number, after?: string): Promise<DeadJob[]>;
  /** @returns false: no dead letter has that id. @throws Failure */
  retry(pipeline: string, id: string): Promise<boolean>;
  /** @returns false: no dead letter has that id. @throws Failure */
  drop(pipeline: string, id: string): Promise<boolean>;
}
