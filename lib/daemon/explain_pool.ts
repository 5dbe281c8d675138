/**
 * Why a worker pool or a worker is in its state.
 *
 * Invariant: pure; what is wrong comes before what is so.
 */

import type { PoolSnapshot, WorkerSnapshot } from "../control/operations.ts";
import { formatDuration } from "../core/duration.ts";
import type { EventRecord } from "../telemetry/events.ts";

/** The sentences about a pool. */
export function poolReasons(pool: PoolSnapshot, workers: readonly WorkerSnapshot[]): string[] {
  const { reason, next_try_at, target, idle, busy, starting, stopping, queue } = pool;
  const replaced = Object.entries(pool.replaced).filter(([, count]) => count > 0)
    .map(([why, count]) => `${count} for ${why}`);
  return [
    ...reason === undefined ? [] : [reason],
    ...next_try_at === undefined ? [] : [`the next try is at ${next_try_at}`],
    `of ${target} workers ${idle} are idle, ${busy} busy, ${starting} starting, ${stopping} stopping`,
    ...queue === 0 ? [] : [`${queue} requests wait for a worker`],
    ...longest(workers),
    ...pool.no_free_workers === 0
      ? []
      : [`${pool.no_free_workers} requests were refused because no worker was free`],
    ...replaced.length === 0 ? [] : [`workers were replaced: ${replaced.join(", ")}`],
  ];
}

/** The worker that has been busy for the longest time. */
function longest(workers: readonly WorkerSnapshot[]): string[] {
  const busy = workers.filter(({ since_ms }) => since_ms !== null)
    .sort((a, b) => b.since_ms! - a.since_ms!);
  return busy.length === 0 ? [] : [`${doing(busy[0])}, longer than any other`];
}

/** `http#0 (pid 12) has been at GET /orders for 3s`. */
export function doing({ id, pid, doing, since_ms }: WorkerSnapshot): string {
  return `${id} (pid ${pid}) has been at ${doing} for ${formatDuration(since_ms ?? 0)}`;
}

/** The sentences about a worker. @param events those about its name */
export function workerReasons(worker: WorkerSnapshot, events: readonly EventRecord[]): string[] {
  const { doing: what, pid, created_at, jobs } = worker;
  const started = events.findLast(({ event, data }) =>
    event === "worker_ready" && data.worker === worker.id && data.pid === pid
  );
  const why = started === undefined ? "" : `, started for: ${started.data.reason}`;
  const failed = events.findLast(({ event, data }) =>
    event === "worker_failed" && data.worker === worker.id
  );
  return [
    what === null ? "it waits for work" : doing(worker),
    `it runs since ${created_at} (pid ${pid}${why}) and has done ${jobs} jobs`,
    ...failed === undefined
      ? []
      : [`the one before failed at ${failed.at} (${failed.data.how}): ${failed.data.error}`],
  ];
}
