/**
 * Worker pools and their workers as tables.
 *
 * Invariant: pure; a pool that is not well always says why.
 */

import type { PoolSnapshot, Workers, WorkerSnapshot } from "../../control/operations.ts";
import { formatSize } from "../../core/size.ts";
import { span } from "./amount.ts";
import type { Paint, Style } from "./paint.ts";
import { type Cell, table } from "./table.ts";

const POOL_STYLES: Partial<Record<PoolSnapshot["state"], Style>> = {
  ready: "green",
  starting: "yellow",
  draining: "yellow",
  degraded: "yellow",
  failing: "red",
};

const WORKER_STYLES: Partial<Record<WorkerSnapshot["state"], Style>> = {
  ready: "green",
  working: "cyan",
  errored: "red",
  execTTLReached: "red",
};

const WORKER_HEADINGS = [
  ...["WORKER", "OF", ">PID", "STATE", ">JOBS", ">AGE", ">MEMORY", ">CPU", "DOING", ">SINCE"],
];

/** `workers` for people. */
export function workersText({ pools, workers }: Workers, paint: Paint): string {
  if (pools.length === 0) return "no worker pool is running\n";
  const parts = [poolsText(pools, paint)];
  if (workers.length > 0) parts.push(table(WORKER_HEADINGS, workers.map(workerRow), paint));
  return parts.join("\n");
}

/** One line for each pool. */
export function poolsText(pools: readonly PoolSnapshot[], paint: Paint): string {
  const headings = [
    ...["POOL", "OF", "STATE", ">WORKERS", ">IDLE", ">BUSY", ">QUEUE", ">REQUESTS", ">ERRORS"],
    ...[">REPLACED", "NOTE"],
  ];
  return table(headings, pools.map(poolRow), paint);
}

function poolRow(pool: PoolSnapshot): Cell[] {
  const replaced = Object.values(pool.replaced).reduce((sum, one) => sum + one, 0);
  return [
    { text: pool.pool, style: "bold" },
    pool.release_id,
    { text: pool.state, style: POOL_STYLES[pool.state] ?? "dim" },
    String(pool.target),
    String(pool.idle),
    String(pool.busy),
    String(pool.queue),
    String(pool.requests),
    pool.errors > 0 ? String(pool.errors) : undefined,
    replaced > 0 ? String(replaced) : undefined,
    pool.reason,
  ];
}

function workerRow(worker: WorkerSnapshot): Cell[] {
  const { id, release_id, pid, state, jobs, age_ms, memory_bytes, cpu_percent } = worker;
  return [
    id,
    release_id,
    String(pid),
    { text: state, style: WORKER_STYLES[state] ?? "yellow" },
    String(jobs),
    span(age_ms),
    formatSize(memory_bytes),
    `${cpu_percent.toFixed(1)} %`,
    worker.doing ?? undefined,
    worker.since_ms === null ? undefined : span(worker.since_ms),
  ];
}
