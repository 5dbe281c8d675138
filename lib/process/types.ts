/**
 * What the floors above know of a supervised program: what to run, how it stands, what to ask of it.
 *
 * Invariant: a ProcessSpec is complete and rendered; nothing here knows configuration or releases.
 */

import type { RetryPolicy } from "../core/backoff.ts";
import type { ExitStatus, Identity, System } from "../os/system.ts";
import type { Emit } from "../telemetry/events.ts";
import type { MemoryWatch } from "./memory.ts";

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
  /** A piece: the line goes on in the next one of this stream. */
  cut?: true;
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
  /** Processor time that the living members of its group have used, milliseconds. */
  cpu_ms?: number;
  children: { pid: number; command: string; rss_bytes: number }[];
  /** How the last run ended; null before any run ended. */
  exit: (ExitStatus & { at: string }) | null;
  exit_code?: number | null;
  exit_signal?: string | null;
  /** Why it is not running, for people: last spawn error, probe verdict, used budget. */
  reason?: string;
  /** The newest attempt failed because another program listens on its port. */
  port_taken?: true;
  /** When the next try is due (state backoff). */
  next_start_at?: string;
  /** The last `output_lines` lines. */
  logs: OutputLine[];
}

/** Where the output of programs goes. */
export interface OutputSink {
  /** A new spool for one run; `keep` lines stay readable. @throws Failure when it cannot be made. */
  open(spec: { instance: string; id: string; release?: string }, keep: number): OutputRun;
}

/** The output of one run. */
export interface OutputRun {
  /** Files that the program appends to. */
  readonly files: { stdout: string; stderr: string };
  /** The last lines of this instance, earlier runs included, oldest first. */
  recent(): OutputLine[];
  /** Resolves when everything written before this call has been read. */
  settle(): Promise<void>;
  /** The run is over: read the rest, then remove the spool. */
  end(): void;
}

/** What every process is given to live in. */
export interface ProcessHost {
  readonly system: System;
  readonly emit: Emit;
  readonly output: OutputSink;
  /** One for the whole daemon, so that all processes share its ticks. */
  readonly memory: MemoryWatch;
  /** What every program inherits (under its own `env`). */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * The daemon's end: nothing is started, probed or waited for any more, and a stop that is under
   * way kills at once. Programs that nobody asked to stop are left alone.
   */
  readonly signal: AbortSignal;
}

/** How a start is to be taken. */
export interface StartOptions {
  /**
   * False: on trial. An end before it is proven is final: no restart, state `failed`, and the
   * rejection comes at once (a deploy's start). Once proven it is restarted as usual. Default true.
   */
  supervise?: boolean;
  /** Only without a probe: milliseconds it must stay up to count as proven. Default 0. */
  stay?: number;
  /** Ends the waiting (not the program): the promise rejects with its reason. */
  signal?: AbortSignal;
}

/** How a stop is to be taken. */
export interface StopOptions {
  /** As `hurry(within)` from the beginning: no quiet, no drain, SIGKILL at most so many ms from now. */
  within?: number;
}

/** How a stop ended. */
export interface StopReport {
  /** Pids of its group that outlived SIGKILL; empty: everything is gone. */
  survivors: number[];
  /** True when SIGKILL was needed. */
  killed: boolean;
  /** How the leader ended; null when nothing ran or it did not end. */
  exit: ExitStatus | null;
  /** From the request to the end. */
  ms: number;
}

/** What a failed start tells in `Failure.detail`. */
export interface StartFailureDetail {
  process: string;
  release?: string;
  argv: string[];
  cwd: string;
  user?: string;
  /** Names only: values may be secret. */
  env_keys: string[];
  port?: number;
  exit_code?: number | null;
  exit_signal?: string | null;
  /** From spawn to the end of the attempt; absent when nothing was spawned. */
  elapsed_ms?: number;
  /** What the probe saw last. */
  probe?: string;
  /** A stranger listens on its port: another port may work. */
  port_taken?: boolean;
  /** The last lines of this run. */
  stderr: string[];
  stdout: string[];
}
