/**
 * The pools of one release, and the jobs that its workers have.
 *
 * Invariant: a job that was cut is handed back when the worker that had it is gone, so that nobody
 * else works on it beside that worker.
 */

import type { WorkerPool } from "../../lib/pool/contract.ts";
import { endPools } from "../../lib/pool/end.ts";
import type { Taken } from "./taken.ts";

/** A job at a worker, or in its pool's queue. */
export interface Work {
  readonly taken: Taken;
  /** Takes it back when no worker has it yet. */
  recall(): void;
}

/** See the file's comment. */
export class Target {
  readonly works = new Set<Work>();
  /** Cut, by pool. */
  readonly #cut = new Map<WorkerPool, Taken[]>();

  /** `pools` by name: `jobs`, `jobs.mail`. */
  constructor(readonly pools: ReadonlyMap<string, WorkerPool>) {}

  /** A worker of `pool` has this one and shall not finish it. */
  cut(pool: WorkerPool, taken: Taken): void {
    const cut = this.#cut.get(pool);
    if (cut === undefined) this.#cut.set(pool, [taken]);
    else cut.push(taken);
  }

  /** No job of it begins any more: those that no worker has are taken back. */
  recall(): void {
    for (const work of [...this.works]) work.recall();
  }

  /**
   * Ends the workers and hands back what was cut.
   * @throws Failure when workers outlived SIGKILL
   */
  async end(): Promise<void> {
    // Nobody waits for what these workers still do.
    for (const pool of this.#cut.keys()) pool.hurry(0);
    await endPools(this.pools.values(), (pool) => {
      for (const taken of this.#cut.get(pool) ?? []) taken.pipeline.handBack([taken], "cut");
    });
  }
}
