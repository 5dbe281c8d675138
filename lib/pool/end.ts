/**
 * The end of the pools of a generation.
 *
 * Invariant: all are ended, side by side, whatever becomes of one; who outlived SIGKILL is named.
 */

import { Failure } from "../core/failure.ts";
import type { WorkerPool } from "./contract.ts";

/**
 * @param ended called with each when nothing of it works any more
 * @throws Failure when workers outlived SIGKILL
 */
export async function endPools(
  pools: Iterable<WorkerPool>,
  ended: (pool: WorkerPool) => void = () => {},
): Promise<void> {
  const all = await Promise.all(Array.from(pools, async (pool) => {
    const left = await pool.destroy();
    ended(pool);
    return { name: pool.name, left };
  }));
  const outlived = all.filter(({ left }) => left.length > 0)
    .map(({ name, left }) =>
      `workers of the pool "${name}" outlived SIGKILL: pids ${left.join(", ")}`
    );
  if (outlived.length === 0) return;
  throw new Failure(outlived.join("; "));
}
