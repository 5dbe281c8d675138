/**
 * The catalogue of everything that can happen: one name, one level, one typed set of facts each.
 *
 * Invariant: nothing is logged that is not an event of this catalogue, so that log, journal, webhook
 * and `events` always tell the same story. No event carries an environment value.
 */

/** How serious an event is. */
export type Level = "debug" | "info" | "warn" | "error";

/** What the application calls its own lines; `plain` is a line without a level. */
export type AppLevel = Level | "plain";

/** Facts most process events share. */
interface OfProcess {
  process: string;
  release?: string;
}

/** Every event by name with its facts. */
export interface Events {
  daemon_started: { pid: number; version: string; config: string };
  daemon_ready: { started_in_ms: number };
  daemon_stopping: { reason: string };
  daemon_stopped: { exit: number };
  signal_received: { signal: string; effect: string };
  internal_error: { where: string; error: string; stack?: string };
  log_reopened: { file: string; error?: string };

  log_lost: { lines: number; reason: string };
  follower_dropped: { of: "events" | "logs" };
  journal_failed: { file: string; error: string };
  journal_lost: { file: string; events: number; reason: string };
  webhook_failed: { webhook: string; error: string; waiting: number };
  webhook_recovered: { webhook: string; dropped: number };
  listener_bound: { name: string; address: string };
  listener_closed: { name: string; address: string };
  drain_cut: { connections: number; budget_ms: number };
  control_listening: { path: string };
  control_error: { error: string; route?: string };
  rpc_connection_cut: { client: string; reason: string };
  relay_refused: { relay: string; reason: string; connections: number };
  config_reloaded: { changes: string[] };
  config_rejected: { error: string; trigger: string };
  config_warning: { message: string };
  state_write_failed: { file: string; error: string };
  state_unusable: { file: string; reason: string };
  deploy_queued: { release: string; waiting_for: string };
  deploy_started: { release: string; release_path: string; revision: string; kind: string };
  deploy_progress: { release: string; step: string; detail?: string };
  deploy_failed: {
    release: string;
    error: string;
    fix?: string;
    ms: number;
    detail?: Record<string, unknown>;
  };
  traffic_switched: { release: string; previous: string | null; ms: number };
  deploy_finished: { release: string; ms: number; errors: string[] };
  release_draining: { release: string; leases: number; budget_ms: number };
  release_drained: { release: string; ms: number; cut: number };
  release_stopped: { release: string; ms: number; errors: string[] };
  release_forgotten: { release: string };
  restore_failed: { release: string; error: string; next_try_ms: number };
  port_retry: OfProcess & { port: number; attempt: number };
  pool_plain: { pool: string; release: string };
  pool_scaled: { pool: string; release: string; count: number; previous: number };
  pool_reset: { pool: string; release: string; replaced: number; ms: number; error?: string };
  on_init_started: { release: string };
  on_init_finished: { release: string; ms: number };
  on_init_failed: { release: string; ms: number; error: string; fatal: boolean };
  process_starting: OfProcess & { reason: string };
  process_started: OfProcess & { pid: number; reason: string };
  process_ready: OfProcess & { pid: number; ms: number };
  process_start_failed: OfProcess & {
    error: string;
    fix?: string;
    detail?: Record<string, unknown>;
  };
  process_exited: OfProcess & {
    pid: number;
    code: number | null;
    signal: string | null;
    wanted: boolean;
    up_ms: number;
  };
  process_leftovers_killed: OfProcess & { pids: number[] };
  process_restart_scheduled: OfProcess & { delay_ms: number; restarts: number };
  process_gave_up: OfProcess & { tries: number; window_ms: number };
  process_stopping: OfProcess & { pid: number; step: string };
  process_stop_overdue: OfProcess & { pid: number; after_ms: number };
  process_stopped: OfProcess & { ms: number };
  process_stop_failed: OfProcess & { pids: number[] };
  /** What the application logs by RPC. */
  app_log: { level: AppLevel; message: string; attributes: Record<string, string> };
  hook_failed: OfProcess & { hook: string; error: string };
  memory_warning: OfProcess & { rss_bytes: number; warn_bytes: number };
  memory_limit_exceeded: OfProcess & { rss_bytes: number; limit_bytes: number };
  output_lost: OfProcess & { lines: number; reason: string };
  output_recovered: OfProcess & { bytes: number; alive: boolean };
  output_unwatched: { directory: string; error: string };
  orphan_found: OfProcess & { pid: number };
  orphan_stopped: OfProcess & { pid: number };
  proxy_error: { release: string; upstream: string; error: string; target?: string };
  cors_refused: { origin: string; reason: string };
  sendfile_failed: { path: string; error: string; status: number };
  tls_refused: { reason: string; client: string };
  proxy_refused: { status: number; reason: string; client: string };
  request_failed: {
    plugin: string;
    release: string;
    target: string;
    error: string;
    kind: string;
    status: number | null;
    pid?: number;
  };
  http_request: {
    method: string;
    target: string;
    status: number;
    client: string;
    ms: number;
    bytes: number;
    user_agent?: string;
    referer?: string;
  };
  upload_failed: { directory: string; error: string };
  upload_left: { path: string; error: string };
  tcp_connections_cut: { server: string; reason: string; client: string; connections: number };
  uploads_swept: { directory: string; files: number };
  upstreams_down: { release: string; hold_ms: number };
  upstreams_back: { release: string; after_ms: number };
  worker_ready: {
    pool: string;
    release: string;
    worker: string;
    pid: number;
    reason: string;
    ms: number;
  };
  worker_start_failed: {
    pool: string;
    release: string;
    worker: string;
    error: string;
    fix?: string;
    detail?: Record<string, unknown>;
  };
  worker_failed: {
    pool: string;
    release: string;
    worker: string;
    pid: number;
    how: string;
    error: string;
    doing?: string;
  };
  pool_failing: {
    pool: string;
    release: string;
    alive: number;
    target: number;
    reason: string;
    next_try_ms: number;
  };
  pool_recovered: { pool: string; release: string; alive: number };
  pool_adapted: { pool: string; release: string; from: number; to: number; why: string };
  pool_exhausted: { pool: string; release: string; requests: number; reason: string };
  job_failed: {
    pipeline: string;
    job: string;
    id: string;
    attempt: number;
    error: string;
    then: string;
    release?: string;
    pid?: number;
  };
  job_unreadable: { pipeline: string; id: string; reason: string };
  job_unsettled: { pipeline: string; job: string; id: string; error: string };
  jobs_handed_back: { pipeline: string; jobs: number; reason: string };
  jobs_left_behind: { pipeline: string; jobs: number; reason: string };
  jobs_lost: { pipeline: string; jobs: number; reason: string };
  jobs_waiting: { pool: string; reason: string; next_try_ms: number };
  pipeline_down: { pipeline: string; driver: string; error: string; next_try_at?: string };
  pipeline_volatile: { pipeline: string; driver: string; reason: string };
  pipeline_reminded: { pipeline: string; driver: string; jobs: number };
  pipeline_ready: { pipeline: string; driver: string };
  pipeline_declared: { pipeline: string; driver: string };
  pipeline_destroyed: { pipeline: string; driver: string };
  pipeline_paused: { pipeline: string };
  pipeline_resumed: { pipeline: string };
  schedule_pushed: { schedule: string; pipeline: string; job: string; due: string };
  schedule_missed: { schedule: string; runs: number };
  schedule_failed: { schedule: string; due: string; error: string };
  schedules_unkept: { error: string };
}

/** Name of an event. */
export type EventName = keyof Events;

const LEVELS: Partial<Record<EventName, Level>> = {
  log_lost: "warn",
  schedule_missed: "warn",
  schedule_failed: "error",
  schedules_unkept: "warn",
  follower_dropped: "warn",
  journal_failed: "error",
  journal_lost: "warn",
  webhook_failed: "warn",
  internal_error: "error",
  config_rejected: "error",
  config_warning: "warn",
  control_error: "warn",
  rpc_connection_cut: "warn",
  relay_refused: "warn",
  state_write_failed: "error",
  state_unusable: "warn",
  deploy_failed: "error",
  deploy_progress: "debug",
  restore_failed: "error",
  on_init_started: "info",
  on_init_finished: "info",
  on_init_failed: "error",
  pool_scaled: "info",
  pool_reset: "info",
  port_retry: "warn",
  drain_cut: "warn",
  process_starting: "debug",
  process_start_failed: "error",
  process_restart_scheduled: "warn",
  process_leftovers_killed: "warn",
  process_gave_up: "error",
  process_stopping: "debug",
  process_stop_overdue: "warn",
  process_stop_failed: "error",
  hook_failed: "warn",
  memory_warning: "warn",
  memory_limit_exceeded: "warn",
  output_lost: "warn",
  output_unwatched: "warn",
  orphan_found: "warn",
  proxy_error: "warn",
  sendfile_failed: "warn",
  tls_refused: "debug",
  proxy_refused: "debug",
  request_failed: "warn",
  upload_failed: "warn",
  upload_left: "warn",
  tcp_connections_cut: "warn",
  upstreams_down: "error",
  worker_ready: "debug",
  worker_start_failed: "error",
  worker_failed: "warn",
  pool_failing: "error",
  pool_exhausted: "warn",
  job_failed: "warn",
  job_unreadable: "warn",
  job_unsettled: "error",
  jobs_left_behind: "warn",
  jobs_lost: "warn",
  jobs_waiting: "warn",
  pipeline_down: "error",
  pipeline_reminded: "warn",
  pipeline_volatile: "warn",
};

/** The level an event is logged at (a wanted exit is less than a crash). */
export function levelOf<N extends EventName>(name: N, data: Events[N]): Level {
  if (name === "process_exited") {
    return (data as Events["process_exited"]).wanted ? "info" : "warn";
  }
  if (name === "app_log") {
    const { level } = data as Events["app_log"];
    return level === "plain" || level === undefined ? "info" : level;
  }
  if (name === "log_reopened") {
    return (data as Events["log_reopened"]).error === undefined ? "info" : "error";
  }
  return LEVELS[name] ?? "info";
}

/**
 * Events that are so many that they go to the log alone: in memory and for followers they would drive
 * out everything else.
 */
export const LOG_ONLY: ReadonlySet<EventName> = new Set(["http_request", "app_log"]);

/** One event as it is kept, logged and sent. */
export interface EventRecord {
  /** ISO 8601, UTC. */
  at: string;
  /** Position in the life of this daemon, from 1. */
  seq: number;
  level: Level;
  event: EventName;
  data: Record<string, unknown>;
}

/** Where things that happen are told. Never throws. */
export interface Emit {
  <N extends EventName>(event: N, data: Events[N]): void;
}
