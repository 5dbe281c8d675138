/**
 * Why jobs of a pipeline are not done, or that nothing keeps them.
 *
 * | what keeps them                    | who says it                         |
 * | ---------------------------------- | ----------------------------------- |
 * | its driver cannot be reached       | the pipeline, the last events       |
 * | it is paused, or was never begun   | the pipeline, the last events       |
 * | no release is live                 | status                              |
 * | its pool has no free worker        | the pool of the live release        |
 * | `parallelism`, `rate`              | the configuration                   |
 *
 * Invariant: pure; what keeps jobs comes before how many there are, and the last failure comes last.
 */

import type { PipelineConfig } from "../config/roadrunner/jobs.ts";
import type { PipelineStatus } from "../control/jobs.ts";
import type { Status, Workers } from "../control/operations.ts";
import { formatDuration } from "../core/duration.ts";
import type { EventName, EventRecord } from "../telemetry/events.ts";
import { nextTry } from "./explain_process.ts";

/** What the sentences are made from. */
export interface PipelineFacts {
  status: Status;
  workers: Workers;
  /** Undefined: a client declared it. */
  settings: PipelineConfig | undefined;
  /** Those about its name. */
  events: readonly EventRecord[];
  now: number;
}

/** How it is, in a word. */
export function pipelineState({ ready, consuming }: PipelineStatus, { status }: PipelineFacts) {
  if (!ready) return "down";
  if (!consuming) return "paused";
  return status.active_release_id === null ? "stopped" : "consuming";
}

/** The sentences. */
export function pipelineReasons(pipeline: PipelineStatus, facts: PipelineFacts): string[] {
  return [
    ...link(pipeline, facts),
    ...flow(pipeline, facts),
    ...pool(pipeline, facts),
    ...limits(pipeline, facts),
    ...numbers(pipeline),
    ...lastFailure(facts),
  ];
}

/** The last event of these, since the daemon came up. */
function lastOf({ events }: PipelineFacts, ...names: EventName[]): EventRecord | undefined {
  const start = events.findLastIndex(({ event }) => event === "daemon_started");
  return events.slice(start + 1).findLast(({ event }) => names.includes(event));
}

function link(pipeline: PipelineStatus, facts: PipelineFacts): string[] {
  const { ready, driver, error = "not connected", next_try_at } = pipeline;
  if (ready) return [];
  const down = lastOf(facts, "pipeline_down", "pipeline_ready");
  const since = down?.event === "pipeline_down" ? ` since ${down.at}` : "";
  const next = nextTry(next_try_at, facts.now);
  return [`its driver ${driver} cannot be reached${since}: ${error}; ${next}`];
}

function flow({ consuming, pipeline }: PipelineStatus, facts: PipelineFacts): string[] {
  if (!consuming) {
    const turned = lastOf(facts, "pipeline_paused", "pipeline_resumed");
    const why = turned?.event === "pipeline_paused"
      ? `it was paused at ${turned.at}`
      : "it is not in jobs.consume";
    return [`${why}: its jobs are not given to workers; supervisor jobs resume ${pipeline}`];
  }
  if (facts.status.active_release_id !== null) return [];
  return ["no release is live: its jobs are given to workers after the next deploy"];
}

function pool({ pool, consuming }: PipelineStatus, { status, workers }: PipelineFacts): string[] {
  const live = status.active_release_id;
  if (!consuming || live === null) return [];
  const its = workers.pools.find((one) => one.pool === pool && one.release_id === live);
  if (its === undefined) return [`the live release "${live}" has no pool "${pool}" to do its jobs`];
  const { state, reason, target, idle, busy } = its;
  if (reason !== undefined) return [`its pool "${pool}" is ${state}: ${reason}`];
  return idle > 0 ? [] : [`no worker of its pool "${pool}" is free: ${busy} of ${target} are busy`];
}

function limits({ running, waiting, consuming }: PipelineStatus, { settings }: PipelineFacts) {
  if (settings === undefined || !consuming || waiting === 0) return [];
  const { parallelism, rate } = settings;
  return [
    ...parallelism === 0 || running < parallelism
      ? []
      : [`as many of its jobs are at workers as parallelism allows: ${parallelism}`],
    ...rate === undefined
      ? []
      : [`no more than ${rate.jobs} of its jobs begin within ${formatDuration(rate.per)} (rate)`],
  ];
}

function numbers(one: PipelineStatus): string[] {
  const { waiting, delayed, dead, running, ready, error, pipeline, counts } = one;
  const were =
    `since the daemon came up ${counts.done} were done, ${counts.failed} tries failed, ` +
    `${counts.dropped} were dropped`;
  if (waiting === null) {
    return [...ready ? [`its driver does not say its numbers: ${error}`] : [], were];
  }
  return [
    `${waiting} of its jobs wait, ${delayed} are not due yet, ${running} are at workers or next in line`,
    ...dead ? [`${dead} are dead letters: supervisor jobs dead ${pipeline}`] : [],
    were,
  ];
}

function lastFailure({ events }: PipelineFacts): string[] {
  const last = events.findLast(({ event }) => event === "job_failed");
  if (last === undefined) return [];
  const { job, id, attempt, error, then } = last.data;
  return [
    `the last that failed was ${job} (${id}) at ${last.at}, try ${attempt}: ${error}; then: ${then}`,
  ];
}
