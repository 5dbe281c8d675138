/**
 * Pipelines in RoadRunner's words: what `jobs.Stat`, `informer.Jobs` and `/jobs` of the status address
 * say.
 *
 * Invariant: a job counts once: `active` waits (also when it was taken and no worker has it yet),
 * `delayed` is not due, `reserved` is at a worker.
 */

import type { PipelineStat } from "./engine.ts";

/** One pipeline. */
export interface PipelineState {
  pipeline: string;
  priority: number;
  /** Its jobs are given to workers. */
  ready: boolean;
  queue: string;
  active: number;
  delayed: number;
  reserved: number;
  driver: string;
  /** Why its driver is not usable now, or does not say its numbers; "" when it is and does. */
  error_message: string;
}

/** All of them, in the same order. */
export function pipelineStates(pipelines: readonly PipelineStat[]): PipelineState[] {
  return pipelines.map((
    { name, priority, consuming, driver, link, running, stat, stat_error },
  ) => ({
    pipeline: name,
    priority,
    ready: consuming,
    queue: name,
    active: waitingOf(stat, running),
    delayed: stat?.delayed ?? 0,
    reserved: running,
    driver,
    error_message: link.state === "ready" ? stat_error ?? "" : link.error ?? "not connected",
  }));
}

/** Jobs that are due and at no worker. */
export function waitingOf(stat: PipelineStat["stat"], running: number): number {
  if (stat === undefined) return 0;
  // One that was acknowledged beforehand runs and is not reserved any more.
  return stat.waiting + Math.max(0, stat.reserved - running);
}
