/**
 * When PM2 restarts an application, and what it has that we have not.
 *
 * Invariant: PM2's units (1024-based sizes, milliseconds) are kept exactly.
 */

import { parseDuration } from "../../core/duration.ts";
import { type Draft, duration, filled, quote, size, type Value } from "./draft.ts";
import type { Foreign } from "./foreign.ts";

/** PM2's growth of exp_backoff_restart_delay, and its top. */
const BACKOFF_FACTOR = 1.5;
const BACKOFF_TOP = 15_000;

/** `restart` of ours. */
export function pm2Restart(from: Foreign): Draft | undefined {
  const growing = pm2Milliseconds(from, "exp_backoff_restart_delay");
  const fixed = pm2Milliseconds(from, "restart_delay");
  const uptime = pm2Milliseconds(from, "min_uptime");
  const limit = from.count("max_restarts");
  if (from.flag("autorestart") === false) {
    return { max_restarts: 0 };
  }
  if (limit !== undefined || uptime !== undefined) {
    from.note(
      limit === undefined ? "min_uptime" : "max_restarts",
      "PM2 counts exits before min_uptime in a row; here all restarts within `window` count",
    );
  }
  const delays: Draft = growing !== undefined
    ? {
      delay: duration(growing),
      backoff_factor: BACKOFF_FACTOR,
      max_delay: duration(Math.max(BACKOFF_TOP, growing)),
    }
    : fixed !== undefined
    ? { delay: duration(fixed), backoff_factor: 1, max_delay: 0 }
    : {};
  return filled({ max_restarts: limit, ...delays });
}

const SIZE = /^\s*(\d+(?:\.\d+)?)\s*([KMG]?)B?\s*$/i;
const FACTORS: Record<string, number> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** `memory` of ours. */
export function pm2Memory(from: Foreign): Draft | undefined {
  const value = from.any("max_memory_restart");
  if (value === undefined) return undefined;
  const match = SIZE.exec(String(value));
  if (match === null) {
    from.note("max_memory_restart", `is not a size: ${quote(value)}; left out`);
    return undefined;
  }
  return { limit: size(Math.round(Number(match[1]) * FACTORS[match[2].toUpperCase()])) as Value };
}

/** A duration: milliseconds, or a text with a unit; PM2 takes both. */
export function pm2Milliseconds(from: Foreign, key: string): number | undefined {
  const value = from.any(key);
  if (value === undefined) return undefined;
  const ms = typeof value === "number" ? value : parseDuration(String(value)) ?? Number(value);
  if (Number.isFinite(ms) && ms >= 0) return ms;
  from.note(key, `is not a duration: ${quote(value)}; left out`);
  return undefined;
}

const DROPPED: Record<string, string> = {
  watch: "files are not watched; deploy or restart after a change",
  ignore_watch: "files are not watched",
  watch_delay: "files are not watched",
  wait_ready: "a process is ready when its `health` says so, not by a message",
  cron_restart: "there are no restarts by the clock; a timer can call supervisor restart",
  shutdown_with_message: "a process is asked to stop by a signal (`stop_signal`)",
  gid: "the group follows from `user`",
  log_file: "output is kept by supervisor: see supervisor logs",
  out_file: "output is kept by supervisor: see supervisor logs",
  error_file: "output is kept by supervisor: see supervisor logs",
  output: "output is kept by supervisor: see supervisor logs",
  error: "output is kept by supervisor: see supervisor logs",
  log: "output is kept by supervisor: see supervisor logs",
  merge_logs: "output of all copies is in one log, each line with its copy",
  combine_logs: "output of all copies is in one log, each line with its copy",
  log_date_format: "each line has its time anyway",
  time: "each line has its time anyway",
  log_type: "supervisor logs --json prints JSON",
  pid_file: "there is no pid file of a process; see supervisor status",
  treekill: "the whole process group is stopped, always",
  stop_exit_codes: "every exit that nobody asked for is followed by a restart",
  increment_var: "each copy has {{replica_index}} and its own {{port}}",
};

/** Tells everything else that is written. */
export function tellDropped(from: Foreign): void {
  for (const [key, text] of Object.entries(DROPPED)) from.drop(key, text);
  from.leftover("is not carried over");
}
