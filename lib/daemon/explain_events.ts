/**
 * Events as the history that `explain` tells.
 *
 * Invariant: pure; each event gives one line, those without words of their own their facts. Starts and
 * ends of the daemon stand between the others, never before the first.
 */

import type { FailedStart, Happening } from "../control/operations.ts";
import { formatDuration } from "../core/duration.ts";
import type { EventName, EventRecord } from "../telemetry/events.ts";

/** Lines of a history. */
const HISTORY = 40;

/** Facts that say what an event is about, which its reader knows. */
const KNOWN = ["process", "release", "pool", "worker", "detail", "fix"];

/** Events of the daemon itself. */
const OF_DAEMON: readonly EventName[] = ["daemon_started", "daemon_stopped"];

const FAILED_STARTS: readonly EventName[] = [
  "process_start_failed",
  "worker_start_failed",
  "deploy_failed",
];

// deno-lint-ignore no-explicit-any -- facts as they were read from disk
type Words = (data: any) => string;

const WORDS: Partial<Record<EventName, Words>> = {
  daemon_started: ({ pid, version }) => `the daemon started (pid ${pid}, ${version})`,
  daemon_stopped: () => "the daemon stopped",
  process_starting: ({ reason }) => `a start began, for: ${reason}`,
  process_started: ({ pid }) => `it ran, pid ${pid}`,
  process_ready: ({ ms }) => `it was proven after ${formatDuration(ms)}`,
  process_start_failed: ({ error }) => error,
  process_exited: (data) =>
    `it ended with ${howItEnded(data)}${data.wanted ? ", as it was told" : ""}`,
  process_restart_scheduled: ({ delay_ms }) => `to be started again in ${formatDuration(delay_ms)}`,
  process_gave_up: ({ tries }) => `given up after ${tries} restarts`,
  process_stopping: ({ step }) => `being stopped: ${step}`,
  process_stopped: ({ ms }) => `stopped within ${formatDuration(ms)}`,
  deploy_started: ({ kind, release_path }) => `${kind} of ${release_path} began`,
  deploy_failed: ({ error }) => `the deploy failed: ${error}`,
  deploy_finished: ({ ms }) => `the deploy was done after ${formatDuration(ms)}`,
  deploy_progress: ({ step, detail }) => detail === undefined ? step : `${step}: ${detail}`,
  traffic_switched: ({ release, previous }) =>
    previous === null ? `"${release}" went live` : `"${release}" took the place of "${previous}"`,
  release_draining: ({ leases }) => `being drained, with ${leases} leases held`,
  release_drained: ({ ms, cut }) => `drained within ${formatDuration(ms)}, ${cut} leases cut`,
  release_stopped: ({ ms }) => `stopped within ${formatDuration(ms)}`,
  restore_failed: ({ error }) => `could not be brought back: ${error}`,
  worker_ready: ({ pid, reason }) => `a worker was ready, pid ${pid}, for: ${reason}`,
  worker_start_failed: ({ error }) => error,
  worker_failed: ({ worker, how, error }) => `${worker} failed (${how}): ${error}`,
  pool_failing: ({ alive, target, reason }) => `${alive} of ${target} workers: ${reason}`,
  job_failed: ({ pipeline, job, id, attempt, error, then }) =>
    `${job} (${id}) of ${pipeline} failed, try ${attempt}: ${error}; then: ${then}`,
  pipeline_down: ({ driver, error }) => `its driver ${driver} was not reached: ${error}`,
  pipeline_ready: ({ driver }) => `its driver ${driver} was reached again`,
  pipeline_paused: () => "paused",
  pipeline_resumed: () => "resumed",
  pool_recovered: ({ alive }) => `all ${alive} workers were there again`,
};

/** The newest events that are `mine`, in words, with what the daemon itself did between them. */
export function history(
  events: readonly EventRecord[],
  mine: (record: EventRecord) => boolean,
): Happening[] {
  const all = events.filter((record) => OF_DAEMON.includes(record.event) || mine(record));
  const first = all.findIndex(({ event }) => !OF_DAEMON.includes(event));
  if (first < 0) return [];
  return all.slice(first).slice(-HISTORY)
    .map((record) => ({ at: record.at, event: record.event, text: inWords(record) }));
}

/** `code 1 after 3s`, `SIGKILL after 2m`. */
export function howItEnded(data: Record<string, unknown>): string {
  const { code, signal, up_ms } = data;
  const how = typeof signal === "string" ? signal : `code ${code ?? "unknown"}`;
  return typeof up_ms === "number" ? `${how} after ${formatDuration(up_ms)}` : how;
}

/** The last start that failed, in full. @param command as status shows it; events do not have it */
export function failedStart(
  events: readonly EventRecord[],
  command: string | undefined,
): FailedStart | undefined {
  const last = events.findLast(({ event }) => FAILED_STARTS.includes(event));
  if (last === undefined) return undefined;
  const { error, fix, detail } = last.data;
  const known = typeof detail === "object" && detail !== null ? detail : {};
  return {
    at: last.at,
    error: String(error),
    ...(typeof fix === "string" && { fix }),
    detail: { ...(command !== undefined && { command }), ...known },
  };
}

function inWords({ event, data }: EventRecord): string {
  const words = WORDS[event];
  if (words !== undefined) return words(data);
  const facts = Object.entries(data).filter(([key]) => !KNOWN.includes(key))
    .map(([key, value]) => `${key} ${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [event.replaceAll("_", " "), facts.join(", ")].filter((part) => part !== "").join(": ");
}
