/**
 * Why a process is in its state.
 *
 * | state    | what is said first                                             |
 * | -------- | -------------------------------------------------------------- |
 * | running  | since when and what for; that its probe fails                  |
 * | starting | what its probe has not seen yet, what it waits for             |
 * | backoff  | why the last try failed, when the next one is                  |
 * | failed   | why, and what revives it                                       |
 * | stopped  | what it waits for, or why it does not run                      |
 *
 * Invariant: pure; then the last ends, the restart budget and dependencies, whatever the state.
 */

import type { ProcessConfig } from "../config/config.ts";
import type { ReleaseStatus } from "../control/operations.ts";
import { formatDuration } from "../core/duration.ts";
import type { ProcessSnapshot } from "../process/types.ts";
import type { EventRecord } from "../telemetry/events.ts";
import type { Facts } from "./explain.ts";
import { howItEnded } from "./explain_events.ts";

/** A process, and the release it belongs to. */
export interface Seen {
  process: ProcessSnapshot;
  release?: ReleaseStatus;
}

/** What the sentences are made from; `events` are those of this process alone. */
interface ProcessFacts extends Pick<Facts, "config" | "events" | "now"> {
  all: readonly Seen[];
}

/** Ends that are told one by one. */
const ENDS_TOLD = 3;

/** The sentences, the most important first. */
export function processReasons(one: Seen, facts: ProcessFacts): string[] {
  const { process } = one;
  const config = facts.config.processes.find(({ id }) => id === process.process_id);
  return [
    ...stateReasons(process, facts.now),
    ...config === undefined ? [] : dependencies(config, one, facts.all),
    ...lastEnd(process, facts.events),
    ...config === undefined ? [] : budget(config, process, facts),
    ...memory(process),
  ];
}

function stateReasons(process: ProcessSnapshot, now: number): string[] {
  const { state, healthy, reason, pid, next_start_at, started_at } = process;
  const why = reason === undefined ? [] : [reason];
  switch (state) {
    case "running": {
      const cause = process.last_start_reason;
      const what = cause === undefined ? "" : `, started for: ${cause}`;
      const runs = `it runs since ${started_at} (pid ${pid}${what})`;
      return healthy ? [runs] : [`its probe does not succeed${suffix(reason)}`, runs];
    }
    case "starting":
      return [`it runs (pid ${pid}) and is not proven yet${suffix(reason)}`];
    case "backoff":
      return [...why, nextTry(next_start_at, now)];
    case "failed": {
      const revive = `it is not tried again: supervisor restart --process ${process.id} does that`;
      return [...why, revive];
    }
    case "stopping":
      return ["it is being stopped", ...why];
    case "stopped":
      return why.length > 0 ? why : ["it is stopped"];
  }
}

function suffix(reason: string | undefined): string {
  return reason === undefined ? "" : `: ${reason}`;
}

/** `the next try is in 3s, at …`. */
export function nextTry(at: string | undefined, now: number): string {
  if (at === undefined) return "no next try is planned";
  const left = Date.parse(at) - now;
  return left <= 0
    ? `the next try is due now`
    : `the next try is in ${formatDuration(left)}, at ${at}`;
}

/** What it depends on and does not have. */
function dependencies(
  { depends_on }: ProcessConfig,
  { process, release }: Seen,
  all: readonly Seen[],
): string[] {
  const waits = process.state !== "running";
  return Object.entries(depends_on).flatMap(([id, condition]) => {
    const others = all.filter((one) =>
      one.process.process_id === id &&
      (one.release === undefined || one.release.release_id === release?.release_id)
    );
    const lacking = others.filter(({ process: { state, healthy } }) =>
      state !== "running" || (condition === "healthy" && !healthy)
    );
    if (others.length > 0 && lacking.length === 0) return [];
    const state = lacking[0] === undefined
      ? "does not run"
      : `is ${lacking[0].process.state}${suffix(lacking[0].process.reason)}`;
    const what = condition === "healthy" ? "healthy" : "started";
    return [
      waits
        ? `it waits for "${id}" to be ${what}, which ${state}`
        : `it depends on "${id}" being ${what} at its start, which now ${state}`,
    ];
  });
}

/** How it ended by itself the last times; else how its last run ended. */
function lastEnd({ exit, state }: ProcessSnapshot, events: readonly EventRecord[]): string[] {
  const told = endings(events);
  if (told.length === 0 && exit !== null && state !== "running") {
    return [`its last run ended at ${exit.at} with ${exit.signal ?? `code ${exit.code}`}`];
  }
  return told;
}

/** How it ended by itself the last times, the newest first. */
export function endings(events: readonly EventRecord[]): string[] {
  const ends = events.filter(({ event }) => event === "process_exited");
  const unwanted = ends.filter(({ data }) => data.wanted !== true);
  const told = unwanted.slice(-ENDS_TOLD).reverse()
    .map((end) => `it ended by itself at ${end.at} with ${howItEnded(end.data)}`);
  if (unwanted.length > ENDS_TOLD) {
    told.push(`in all it ended by itself ${unwanted.length} times since ${unwanted[0].at}`);
  }
  return told;
}

/** How much of the restart budget is used. */
function budget(
  { restart: { max_restarts, window } }: ProcessConfig,
  { restarts }: ProcessSnapshot,
  { events, now }: ProcessFacts,
): string[] {
  if (max_restarts === undefined) {
    if (restarts === 0) return [];
    return [`it was restarted ${times(restarts)} since it was deployed; restarts are not limited`];
  }
  // Whoever starts it by hand forgives what was before.
  const forgiven = events.findLastIndex(({ event, data }) =>
    event === "process_starting" && !["crash", "memory"].includes(String(data.reason))
  );
  const used =
    events.slice(forgiven + 1).filter(({ event, at }) =>
      event === "process_restart_scheduled" && (window === 0 || now - Date.parse(at) < window)
    ).length;
  const within = window === 0 ? "" : ` within ${formatDuration(window)}`;
  return [`${Math.min(used, max_restarts)} of ${max_restarts} restarts${within} are used`];
}

function memory({ memory_restarts, last_memory_restart_at }: ProcessSnapshot): string[] {
  if (memory_restarts === 0) return [];
  return [
    `it was restarted ${times(memory_restarts)} for its memory, last at ${last_memory_restart_at}`,
  ];
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
