/**
 * What the floors above know of worker pools: what to run, how it stands, what to ask of it.
 *
 * Invariant: a PoolSpec is complete and rendered; nothing here knows releases or plugins.
 */

import type { PoolSettings } from "../config/roadrunner/pool.ts";
import type { Emit } from "../telemetry/events.ts";
import type { Clock } from "../core/clock.ts";
import type { RelayDoors } from "../goridge/doors.ts";
import type { Identity, PidIdentity, System } from "../os/system.ts";
import type { OutputSink } from "../process/types.ts";

/** What one worker of a pool is started from: rendered, without templates. */
export interface WorkerSpec {
  argv: string[];
  /** For people: as written in the configuration, rendered. */
  command: string;
  cwd: string;
  env: Record<string, string>;
  identity?: Identity;
  /** `pipes`, `tcp://host:port`, `unix://path`. */
  relay: string;
}

export type { PoolSettings } from "../config/roadrunner/pool.ts";

/** A pool to run. */
export interface PoolSpec {
  /** `http`, `tcp`, `jobs`. */
  plugin: string;
  /** For people and logs: `http`, or `jobs.mail` for a named pool. Workers are `http#0`, `http#1` … */
  name: string;
  release: string;
  worker: WorkerSpec;
  settings: PoolSettings;
  /**
   * Called with each new worker that has shaken hands, before it takes requests; it may exec on it.
   * A rejection is a failed start of that worker.
   */
  warmup?: (exec: (request: PoolRequest) => Promise<Answer>) => Promise<void>;
}

/** What a pool is given to live in. */
export interface PoolHost {
  readonly system: System;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly output: OutputSink;
  /** Aborted when the daemon ends. */
  readonly signal: AbortSignal;
  /** Where workers with a socket relay connect; one per DSN in the whole daemon. Not for `pipes`. */
  readonly doors: RelayDoors;
  /** Told in the turn of the spawn, and when nothing of the group is left: for the process book. */
  booked(worker: BookedWorker): void;
  unbooked(id: PidIdentity): void;
}

/** A worker's entry in the process book. */
export interface BookedWorker extends PidIdentity {
  /** `http#3` */
  instance: string;
  plugin: string;
  release: string;
}

/** One request to a worker. */
export interface PoolRequest {
  /** Codec bit of the frame (protocol, chapter 5). */
  flags: number;
  context: Uint8Array;
  body: readonly Uint8Array[];
  /** What it is, for `workers` and logs: `GET /orders`. */
  what: string;
  /** Longest time for this one; undefined: the pool's `exec_ttl`. */
  exec_ttl?: number;
}

/** A part of an answer: one frame. */
export interface AnswerPart {
  readonly flags: number;
  readonly context: Uint8Array;
  readonly body: Uint8Array;
  /** Another part follows. */
  readonly more: boolean;
}

/**
 * An answer, its first part. Whoever takes it reads to the last part or cancels: until then the
 * worker is busy with it.
 */
export interface Answer extends AnswerPart {
  /** The worker that answers, for logs. */
  readonly pid: number;
  /** The next part; undefined after the last. @throws PoolError when the worker fails in between */
  next(): Promise<AnswerPart | undefined>;
  /** Nobody wants the rest: the worker is told to stop and drained in the background. */
  cancel(): void;
}

/** A request on its way: in the queue or at a worker. */
export interface PoolCall {
  /** @throws PoolError (as rejection) */
  readonly answer: Promise<Answer>;
  /** No worker has it (any more). */
  readonly waiting: boolean;
  /**
   * Nobody waits any more. In the queue: leaves it, `answer` rejects `cancelled`. At a worker: the
   * answer is read and thrown away (a stream is cancelled).
   */
  cancel(): void;
}

/** Why a request was not answered. */
export type PoolErrorKind =
  /** `max_queue_size` reached. */
  | "queue_full"
  /** None became free within `allocate_timeout`, or none can be started. */
  | "no_worker"
  /** The worker answered with an ERROR frame; it lives on. `message` is its text. */
  | "worker_error"
  /** It ended, or its relay did, in mid-request. */
  | "died"
  /** What it sent is no answer. */
  | "broken"
  /** `exec_ttl` exceeded. */
  | "timeout"
  /** Too many workers in a row answered `{"stop":true}`. */
  | "stopping"
  /** cancel() came first. */
  | "cancelled"
  /** The pool is gone. */
  | "destroyed";

/** A request was not answered. */
export class PoolError extends Error {
  override readonly name = "PoolError";
  constructor(readonly kind: PoolErrorKind, message: string, readonly pid?: number) {
    super(message);
  }
}

/** State of a worker as RoadRunner numbers and names it (protocol chapter 7). */
export type WorkerState =
  | "inactive"
  | "ready"
  | "working"
  | "invalid"
  | "stopping"
  | "stopped"
  | "destroyed"
  | "maxJobsReached"
  | "errored"
  | "idleTTLReached"
  | "ttlReached"
  | "maxMemoryReached"
  | "execTTLReached";

/** One worker in `workers` (snake_case: it is what `--json` prints). */
export interface WorkerSnapshot {
  id: string;
  plugin: string;
  pool: string;
  release_id: string;
  pid: number;
  state: WorkerState;
  /** RoadRunner's number of the state. */
  status: number;
  jobs: number;
  created_at: string;
  age_ms: number;
  memory_bytes: number;
  cpu_percent: number;
  /** What it is doing, and since when; null: idle. */
  doing: string | null;
  since_ms: number | null;
  command: string;
}

/** A pool in status. */
export interface PoolSnapshot {
  plugin: string;
  pool: string;
  release_id: string;
  state: "starting" | "ready" | "degraded" | "failing" | "draining" | "stopped";
  /** Why it is degraded or failing, for people. */
  reason?: string;
  /** When the next try is due. */
  next_try_at?: string;
  target: number;
  /** Conservation: idle + busy + starting + stopping, of all slots. */
  idle: number;
  busy: number;
  starting: number;
  stopping: number;
  queue: number;
  requests: number;
  errors: number;
  /** Requests refused or given up because no worker was free. */
  no_free_workers: number;
  /** Workers replaced so far, by reason. */
  replaced: Record<string, number>;
  /** How long the last requests waited in the queue; milliseconds. */
  queue_wait_ms: { last: number; p95: number };
}
