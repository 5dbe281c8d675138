/**
 * What can be asked of a running daemon: the arguments and answers of every control command. The
 * daemon implements it, the Unix-socket server exposes it, the CLI's client speaks it.
 *
 * Invariant: plain data in snake_case only; what stands here is what `--json` prints and what
 * `curl --unix-socket` sees.
 */

import type { Change } from "../config/config.ts";
import type { LogRecord } from "../process/log_record.ts";
import type { JobsOperations } from "./jobs.ts";
import type { OutputLine, ProcessSnapshot } from "../process/types.ts";
import type { EventRecord } from "../telemetry/events.ts";
import type { PoolSnapshot, WorkerSnapshot } from "../pool/types.ts";
import type { IntakeSnapshot } from "../release/intake.ts";
import type { PoolReset } from "../release/pool_work.ts";
import type { DeployResult, Progress, ReleaseStatus } from "../release/types.ts";

export type { PoolSnapshot, WorkerSnapshot } from "../pool/types.ts";
export type { LogRecord } from "../process/log_record.ts";
export type { DeployResult, Progress, ReleaseState, ReleaseStatus } from "../release/types.ts";

/** `POST /v1/deploy` */
export interface DeployRequest {
  /** Absolute path of a directory. */
  release_path: string;
  release_id?: string;
  revision?: string;
  /** Answer only after the old release is drained and stopped. */
  wait?: boolean;
}

/** `POST /v1/rollback` */
export interface RollbackRequest {
  release_id?: string;
  wait?: boolean;
}

/** `POST /v1/stop` */
export interface StopRequest {
  release_id?: string;
  now?: boolean;
}

/** `POST /v1/restart` */
export interface RestartRequest {
  /** Configured id (all its replicas) or one instance id. */
  process?: string;
  policy?: "proxied" | "companion" | "singleton" | "service";
}

export interface RestartResult {
  status: "success";
  /** Instance ids in the order they were restarted. */
  restarted: string[];
}

/** `POST /v1/scale` */
export interface ScaleRequest {
  name: string;
  count: number;
}

export interface ScaleResult {
  status: "success";
  name: string;
  count: number;
  previous: number;
}

/** `POST /v1/reset` */
export interface ResetRequest {
  /** A plugin (`jobs`: all its pools) or a pool (`jobs.mail`); missing: all. */
  plugin?: string;
}

export interface ResetResult {
  status: "success";
  pools: PoolReset[];
}

/** `GET /v1/workers?plugin=NAME` */
export interface WorkersQuery {
  /** As in reset. */
  plugin?: string;
}

/** The live release's pools, and what drains of earlier ones. */
export interface Workers {
  pools: PoolSnapshot[];
  workers: WorkerSnapshot[];
}

/** `POST /v1/reload`, `POST /v1/plan` (plan changes nothing). */
export interface ReloadResult {
  status: "success";
  changes: Change[];
  /** Set when a new generation of the current release went live. */
  active_release_id?: string | null;
  warnings: string[];
  errors: string[];
}

/** `GET /v1/status` */
export interface Status {
  application: string;
  state: "starting" | "running" | "stopping";
  pid: number;
  version: string;
  started_at: string;
  uptime_ms: number;
  rss_bytes: number;
  config: string;
  state_dir: string;
  log_dir: string;
  active_release_id: string | null;
  control: { path: string; mode: string; owner?: string; group?: string };
  proxy?: {
    host: string;
    /** The real one when 0 was configured. */
    port: number;
    address: string;
    upstream_host: string;
    connections: number;
    requests: number;
    holding: boolean;
    waiting: number;
  };
  /** Everything that takes work in: the proxy, and each worker section. */
  intakes: IntakeSnapshot[];
  releases: ReleaseStatus[];
  services: { id: string; process: ProcessSnapshot }[];
  singletons: { id: string; process: ProcessSnapshot }[];
  orphans: { id: string; pid: number; release_id: string | null }[];
  /** All leases held, live and draining. */
  leases: number;
  /** What is being done now: deploy, rollback, reload … and what waits for it. */
  operation: { name: string; since: string; waiting: string[] } | null;
  /** Why the remembered release is not live, and when it is tried again. */
  restore?: { release_id: string; error: string; next_try_at: string };
  /** Counters of things that should not happen. */
  counters: Record<string, number>;
}

/** `GET /v1/health` */
export interface Health {
  status: "ok" | "starting" | "stopping";
  live: boolean;
  active_release_id: string | null;
  application: string;
  /** The configuration file. */
  config: string;
}

/** `GET /v1/events?follow=1&limit=N&since=T` */
export interface EventsQuery {
  limit?: number;
  /** Milliseconds of wall time; only later events. */
  since?: number;
  follow?: boolean;
}

/** `GET /v1/logs?follow=1&process=ID&lines=N&since=T` */
export interface LogsQuery {
  /** Configured id (all replicas) or instance id. */
  process?: string;
  lines?: number;
  /** Milliseconds of wall time; only later lines. */
  since?: number;
  /** Only lines that contain this text. */
  grep?: string;
  follow?: boolean;
}

/** `GET /v1/explain?name=NAME` */
export interface ExplainQuery {
  /** A process, one copy, a pool, a worker, or a release. */
  name: string;
}

/** Something that happened, in words. */
export interface Happening {
  /** ISO 8601, UTC. */
  at: string;
  event: string;
  text: string;
}

/** A start that failed, in full. */
export interface FailedStart {
  at: string;
  error: string;
  fix?: string;
  /** As `detail` of a failure: argv, cwd, user, env_keys, exit, elapsed, last output. */
  detail: Record<string, unknown>;
}

/** Why one thing is as it is. */
export interface Subject {
  kind: "process" | "pool" | "worker" | "release" | "pipeline";
  id: string;
  /** What it belongs to; null: to the daemon itself, or it is not there any more. */
  release_id: string | null;
  /** As in status; `gone`: only events know it. */
  state: string;
  /** Why, one sentence each, the most important first. */
  because: string[];
  /** Oldest first, also from before the last start of the daemon. */
  history: Happening[];
  /** The last one that is known. */
  failed_start?: FailedStart;
  /** The last lines it printed. */
  output: OutputLine[];
}

/** What `explain` answers; never without a subject. */
export interface Explanation {
  name: string;
  /** No daemon answered: the file that this is from. */
  journal?: string;
  subjects: Subject[];
}

/** The daemon, as commands see it. Every method may throw Failure. */
export interface Operations {
  health(): Health;
  status(): Status;
  deploy(
    request: DeployRequest,
    progress: (step: Progress) => void,
    signal: AbortSignal,
  ): Promise<DeployResult>;
  rollback(
    request: RollbackRequest,
    progress: (step: Progress) => void,
    signal: AbortSignal,
  ): Promise<DeployResult>;
  stop(request: StopRequest): Promise<Status>;
  restart(request: RestartRequest): Promise<RestartResult>;
  scale(request: ScaleRequest): Promise<ScaleResult>;
  reset(request: ResetRequest): Promise<ResetResult>;
  workers(query: WorkersQuery): Workers;
  reload(): Promise<ReloadResult>;
  plan(): Promise<ReloadResult>;
  /** Resolves when everything is stopped and only this answer is left to send. */
  shutdown(): Promise<{ status: "success"; message: string }>;
  explain(query: ExplainQuery): Promise<Explanation>;
  events(query: EventsQuery, signal: AbortSignal): AsyncIterable<EventRecord>;
  logs(query: LogsQuery, signal: AbortSignal): AsyncIterable<LogRecord>;
  /** The pipelines of jobs. */
  readonly jobs: JobsOperations;
}
