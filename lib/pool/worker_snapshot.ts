/**
 * A worker as it is shown.
 *
 * Invariant: a pure read, but for the share of a processor, which counts from look to look.
 */

import { stamp } from "../core/clock.ts";
import type { ProcRow } from "../os/system.ts";
import type { PoolSpec, WorkerSnapshot } from "./types.ts";
import type { Worker } from "./worker.ts";
import { STATUS } from "./worker_life.ts";

/** @param now clock milliseconds; `row`: the worker as the process table has it */
export function workerSnapshot(
  worker: Worker,
  of: PoolSpec,
  row: ProcRow | undefined,
  now: number,
): WorkerSnapshot {
  const { doing, state, process } = worker;
  const usage = worker.usage(row);
  return {
    id: worker.instance,
    plugin: of.plugin,
    pool: of.name,
    release_id: of.release,
    pid: worker.pid,
    state,
    status: STATUS[state],
    jobs: worker.jobs,
    created_at: stamp(process.startedWall),
    age_ms: Math.round(now - process.startedAt),
    memory_bytes: usage.rss_bytes,
    cpu_percent: usage.cpu_percent,
    doing: doing?.what ?? null,
    since_ms: doing === undefined ? null : Math.round(now - doing.since),
    command: of.worker.command,
  };
}
