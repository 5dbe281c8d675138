/**
 * Processes and workers by what they use.
 *
 * Invariant: pure. CPU is that of the time between two looks; in the first look that of the whole life
 * of a process.
 */

import type { Status, WorkerSnapshot } from "../../control/operations.ts";
import { formatSize } from "../../core/size.ts";
import type { ProcessSnapshot } from "../../process/types.ts";
import { span } from "./amount.ts";
import type { Paint } from "./paint.ts";
import { type Cell, table } from "./table.ts";

/** One look at the daemon. */
export interface Look {
  /** Clock time, milliseconds. */
  at: number;
  status: Status;
  workers: readonly WorkerSnapshot[];
}

/** What comes first. */
export type Order = "cpu" | "memory";

/** One line; what `--json` prints (snake_case). */
export interface TopRow {
  id: string;
  /** A release, or what kind of process it is. */
  of: string;
  pid: number;
  cpu_percent: number;
  memory_bytes: number;
  up_ms: number;
  state: string;
  doing: string | null;
}

/** Everything that runs, the one that uses most first. */
export function ranked(now: Look, before: Look | undefined, order: Order): TopRow[] {
  const past = new Map(before === undefined ? [] : running(before).map(([one]) => [one.pid, one]));
  const elapsed = before === undefined ? 0 : now.at - before.at;
  const rows = [
    ...running(now).map(([process, of]) => processRow(process, of, past.get(process.pid), elapsed)),
    ...now.workers.map(workerRow),
  ];
  const cpu = (a: TopRow, b: TopRow) => b.cpu_percent - a.cpu_percent;
  const memory = (a: TopRow, b: TopRow) => b.memory_bytes - a.memory_bytes;
  const [first, second] = order === "cpu" ? [cpu, memory] : [memory, cpu];
  return rows.sort((a, b) => first(a, b) || second(a, b));
}

/** The rows for people. */
export function topText(rows: readonly TopRow[], paint: Paint): string {
  if (rows.length === 0) return "nothing runs\n";
  const headings = ["NAME", "OF", ">PID", ">CPU", ">MEMORY", ">UPTIME", "STATE", "DOING"];
  return table(headings, rows.map(cells), paint);
}

function cells(row: TopRow): Cell[] {
  return [
    { text: row.id, style: "bold" },
    row.of,
    String(row.pid),
    `${row.cpu_percent.toFixed(1)} %`,
    formatSize(row.memory_bytes),
    span(row.up_ms),
    row.state,
    row.doing ?? undefined,
  ];
}

/** Processes that run, and what they belong to. */
function running({ status }: Look): [process: ProcessSnapshot, of: string][] {
  const all: [ProcessSnapshot, string][] = [
    ...status.services.map(({ process }): [ProcessSnapshot, string] => [process, "service"]),
    ...status.singletons.map(({ process }): [ProcessSnapshot, string] => [process, "singleton"]),
    ...status.releases.flatMap(({ release_id, processes }) =>
      processes.map((process): [ProcessSnapshot, string] => [process, release_id])
    ),
  ];
  return all.filter(([{ pid }]) => pid !== undefined);
}

function processRow(
  process: ProcessSnapshot,
  of: string,
  before: ProcessSnapshot | undefined,
  elapsed: number,
): TopRow {
  const { id, pid = 0, cpu_ms = 0, rss_bytes = 0, uptime_ms = 0, state } = process;
  // Members that ended took their time with them.
  const used = Math.max(0, cpu_ms - (before?.cpu_ms ?? 0));
  const time = before === undefined ? uptime_ms : elapsed;
  const cpu_percent = time > 0 ? Math.round((used / time) * 1000) / 10 : 0;
  return {
    id,
    of,
    pid,
    cpu_percent,
    memory_bytes: rss_bytes,
    up_ms: uptime_ms,
    state,
    doing: null,
  };
}

function workerRow(worker: WorkerSnapshot): TopRow {
  const { id, release_id: of, pid, cpu_percent, memory_bytes, age_ms: up_ms, state, doing } =
    worker;
  return { id, of, pid, cpu_percent, memory_bytes, up_ms, state, doing };
}
