/**
 * What the floors above know of a supervised program: what to run, how it stands, what to ask of it.
 *
 * Invariant: a ProcessSpec is complete and rendered; nothing here knows configuration or releases.
 */

import type { RetryPolicy } from "../core/backoff.ts";
import type { ExitStatus, Identity } from "../os/system.ts";

/** Why a run was started. */
export type StartReason = "deploy" | "crash" | "manual" | "memory" | "reload" | "restore" | "scale";

/**
 * Where a process is in its life. `starting`: runs, not yet proven. `backoff`: ended by itself (or
 * would not start) and will be tried again. `failed`: ended by itself and was given up.
 */
export type ProcessState = "stopped" | "starting" | "running" | "stopping" | "backoff" | "failed";

/** How a started program is proven. Milliseconds. */
export type ProbeSpec =
  | { kind: "none" }
  | {
    kind: "http" | "tcp";
    host: string;
    port: number;
    /** Only http. */
    path: string;
    timeout: number;
    interval: number;
    attempt_timeout: number;
    start_delay: number;
  };

/** Settings that may change while the program runs. */
export interface LiveSettings {
  stop_signal: Deno.Signal;
  graceful_stop: number | "indefinite";
  lifecycle: {
    quiet_command?: string;
    drain_command?: string;
    drain_timeout: number;
    stop_command?: string;
  };
  restart: RetryPolicy;
  memory?: { limit: number; warn: number; check_interval: number };
  probe: ProbeSpec;
  output_lines: number;
}

/** One program to keep alive. */
export interface ProcessSpec {
  /** Configured id, `web`. */
  id: string;
  /** Id of this copy: `web`, or `web#0` with replicas. */
  instance: string;
  /** Release it was built from. */
  release?: string;
  /** What runs; a shell command is already `["/bin/sh", "-c", "exec …"-less text]`. */
  argv: string[];
  /** For people: the rendered command as written in the configuration. */
  command: string;
  cwd: string;
  env: Record<string, string>;
  identity?: Identity;
  port?: number;
  live: LiveSettings;
}

/** One line of a child's output. */
export interface OutputLine {
  /** ISO 8601 UTC. */
  at: string;
  stream: "stdout" | "stderr";
  line: string;
}

/** Everything there is to know about a process; the `process` object of status (snake_case). */
export interface ProcessSnapshot {
  id: string;
  process_id: string;
  state: ProcessState;
  /** Whether its probe has succeeded in this run (no probe: runs). */
  healthy: boolean;
  command: string;
  cwd: string;
  pid?: number;
  port?: number;
  started_at?: string;
  uptime_ms?: number;
  restarts: number;
  memory_restarts: number;
  last_memory_restart_at?: string;
  last_start_reason?: StartReason;
  rss_bytes?: number;
  children: { pid: number; command: string; rss_bytes: number }[];
  /** How the last run ended; null before any run ended. */
  exit: (ExitStatus & { at: string }) | null;
  exit_code?: number | null;
  exit_signal?: string | null;
  /** Why it is not running, for people: last spawn error, probe verdict, used budget. */
  reason?: string;
  /** When the next try is due (state backoff). */
  next_start_at?: string;
  /** The last `output_lines` lines. */
  logs: OutputLine[];
}
