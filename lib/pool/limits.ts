/**
 * The limits that a worker may reach, and what it uses.
 *
 * Invariant: pure; a limit of 0 is none; a worker that was never used is never idle for too long.
 */

import { CPU_TICK, type ProcRow } from "../os/system.ts";
import type { Usage } from "./home.ts";
import type { PoolSettings } from "./types.ts";
import type { Mark } from "./worker_life.ts";

/** Most random extra on `max_jobs`, so that workers started together do not end together. */
const JOBS_SPREAD = 0.14;

/** What is known of a worker. */
export interface Facts {
  /** Since its start, milliseconds. */
  age: number;
  /** Since its last answer, milliseconds; undefined: it is busy, or was never used. */
  idle: number | undefined;
  rss_bytes: number;
}

/** Which limit a worker has reached. */
export function markFor(
  { age, idle, rss_bytes }: Facts,
  { ttl, idle_ttl, max_worker_memory }: PoolSettings["supervisor"],
): Mark | undefined {
  if (ttl > 0 && age >= ttl) return "ttl";
  if (max_worker_memory > 0 && rss_bytes >= max_worker_memory) return "memory";
  if (idle_ttl > 0 && idle !== undefined && idle >= idle_ttl) return "idle_ttl";
  return undefined;
}

/**
 * Requests a worker takes at most; Infinity: any number.
 *
 * @param chance from 0 to 1, its own: so much of the most random extra it gets
 */
export function jobsLimit(maxJobs: number, chance: number): number {
  if (maxJobs <= 1) return maxJobs || Infinity;
  return Math.floor(maxJobs * (1 + chance * JOBS_SPREAD));
}

/** Turns rows of the process table into what a worker uses. */
export class Meter {
  usage: Usage = { rss_bytes: 0, cpu_percent: 0 };
  #ticks: number | undefined;
  #at = 0;

  /** One look; undefined: it is gone. `now`: clock milliseconds. */
  read(row: ProcRow | undefined, now: number): Usage {
    if (row === undefined) return this.usage;
    let { cpu_percent } = this.usage;
    const elapsed = now - this.#at;
    if (this.#ticks === undefined || elapsed >= CPU_TICK) {
      const used = (row.cpu_ticks - (this.#ticks ?? row.cpu_ticks)) * CPU_TICK;
      cpu_percent = elapsed > 0 ? Math.round((used / elapsed) * 1000) / 10 : 0;
      this.#ticks = row.cpu_ticks;
      this.#at = now;
    }
    return this.usage = { rss_bytes: row.rss_bytes, cpu_percent };
  }
}
