/**
 * The contract between pipelines and where their jobs lie: memory, a file, a broker. One conformance
 * suite (tests/unit/plugins/jobs/conformance) runs against every driver; what a driver declares in
 * `can` is tested, and a configuration that wants what it cannot is refused.
 *
 * | a job is   | by                 | then                                                    |
 * | ---------- | ------------------ | ------------------------------------------------------- |
 * | waiting    | push, requeue      | taken when due, lower priority number first             |
 * | delayed    | push, requeue      | waiting when its time has come                          |
 * | reserved   | take               | settled once; or waiting again when the taker is lost   |
 * | dead       | settle             | stays until somebody retries or drops it                |
 * | gone       | settle (ack, drop) | –                                                       |
 *
 * Invariants: push() resolves exactly when the driver's documented promise holds (memory: it is in
 * memory; file: committed and synced; broker: confirmed); a reserved job is delivered to nobody else
 * while its taker lives; nothing is acknowledged that settle() was not asked to acknowledge.
 */

import type { PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import type { Clock } from "../../lib/core/clock.ts";
import type { System } from "../../lib/os/system.ts";
import type { Emit } from "../../lib/telemetry/events.ts";

/** Headers of a job: several values each. */
export type JobHeaders = Readonly<Record<string, readonly string[]>>;

/** A job as it is pushed. */
export interface Job {
  readonly id: string;
  /** The task, usually a class name. */
  readonly name: string;
  readonly payload: Uint8Array;
  readonly headers: JobHeaders;
  /** Lower is served first; never 0 (the pipeline's own was filled in). */
  readonly priority: number;
  /** Milliseconds from now. */
  readonly delay: number;
  /** Acknowledged before the worker runs. */
  readonly auto_ack: boolean;
  /** Deduplication key; a job whose key was pushed within the pipeline's window is not stored again. */
  readonly unique?: string;
  /** Milliseconds; instead of the pipeline's window, also where the pipeline has none. */
  readonly unique_window?: number;
}

/** A job that was taken. */
export interface Delivery extends Job {
  /** Which delivery this is, from 1. */
  readonly attempt: number;
  /** Why the delivery before failed. */
  readonly error?: string;
}

/** How a delivery ends. */
export type Settlement =
  /** Done: it is gone. */
  | { kind: "ack" }
  /** Given up without dead letters: it is gone, and counted. */
  | { kind: "drop"; error: string }
  /** Again after `delay` ms, with these headers, as delivery number `attempt`. */
  | { kind: "again"; delay: number; headers: JobHeaders; attempt: number; error?: string }
  /** To the dead letters of this pipeline. */
  | { kind: "dead"; error: string }
  /** Handed back untouched: the same attempt, at once. */
  | { kind: "back" };

/** A dead letter. */
export interface DeadJob extends Job {
  readonly attempts: number;
  readonly error: string;
  /** Milliseconds since 1970. */
  readonly died_at: number;
}

/** Numbers of a pipeline now. */
export interface DriverStat {
  waiting: number;
  delayed: number;
  reserved: number;
  dead: number;
}

/** What a driver can do. */
export interface Abilities {
  delay: boolean;
  priority: boolean;
  /** Keeps dead letters itself. */
  dead: boolean;
  /** Deduplicates by key within a window. */
  unique: boolean;
  /** Jobs survive our end. */
  durable: boolean;
}

/** How a driver is. */
export type DriverState =
  | { state: "ready" }
  | { state: "connecting"; error?: string; next_try_at?: string };

/** Where the jobs of one pipeline lie. */
export interface Driver extends AsyncDisposable {
  readonly can: Abilities;
  readonly state: DriverState;
  /** Called when `state` changed. */
  onState: (() => void) | undefined;
  /**
   * Makes it usable; for brokers: begins to connect, and goes on for ever.
   * @throws Failure only for what no retry can mend (bad file, bad options)
   */
  open(): Promise<void>;
  /** Stores jobs, all or none. @throws Failure when that could not be done in time */
  push(jobs: readonly Job[], signal?: AbortSignal): Promise<void>;
  /**
   * Takes up to `most` jobs that are due; waits until there is at least one.
   * @throws the signal's reason; nothing is reserved then
   */
  take(most: number, signal: AbortSignal): Promise<Delivery[]>;
  /** Ends a delivery. Once for each. Retried inside until done; rejects only after close. */
  settle(delivery: Delivery, settlement: Settlement): Promise<void>;
  /** @throws when its broker does not say */
  stat(): Promise<DriverStat>;
  /** Dead letters, oldest first, after the one with id `after`. */
  dead(most: number, after?: string): Promise<DeadJob[]>;
  /** Newer settings of its pipeline; what a driver is opened from (`config`) is the same as before. */
  configure(settings: PipelineConfig): void;
  /** Makes a dead letter a waiting job again, attempt 1. @returns false: there is none of that id */
  retry(id: string): Promise<boolean>;
  /** Removes a dead letter. @returns false: there is none of that id */
  drop(id: string): Promise<boolean>;
}

/** What drivers are given to live in. */
export interface DriverHost {
  readonly system: System;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Where the daemon keeps its state; a directory that exists. */
  readonly state_dir: string;
}

/**
 * All drivers of one kind: what several pipelines share (a file, a connection) is held here.
 *
 * Invariant: nothing is opened before the first driver is; disposing it, after all its drivers were
 * disposed of, leaves nothing open.
 */
export interface DriverKind extends AsyncDisposable {
  /**
   * The driver of a pipeline; only constructs. `broker`: the section of its broker in force
   * (lib/config/roadrunner/drivers), undefined where the driver has none.
   */
  create(pipeline: string, settings: PipelineConfig, broker: unknown): Driver;
}

/** How a kind of drivers is had. */
export interface DriverRecipe {
  /** As `pipelines.<name>.driver` names it. */
  readonly name: string;
  readonly can: Abilities;
  kind(host: DriverHost): DriverKind | Promise<DriverKind>;
  /**
   * For `doctor`: whether a pipeline of these settings could be opened now (its broker answers, its
   * file can be written). Makes nothing, changes nothing, leaves nothing open; a daemon may be using the
   * same place meanwhile. `broker`: as for create(). `signal` is aborted after CHECK_LIMIT; what then
   * still waits is given up.
   * @throws Failure
   */
  check?(
    settings: PipelineConfig,
    broker: unknown,
    host: DriverHost,
    signal: AbortSignal,
  ): Promise<void>;
}
