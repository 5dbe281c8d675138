/**
 * Runs a start plan: everything that may start does so at once, the rest as soon as what it waits
 * for is there.
 *
 * Invariant: after the first failure nothing new is started.
 */

import type { Waits } from "./start_order.ts";

/** A start under way. */
export interface Starting {
  /** The program runs. */
  started: Promise<void>;
  /** The program is proven. */
  healthy: Promise<void>;
}

/**
 * @param plan what each id waits for (no cycles)
 * @param start begins one; called once for each id
 * @throws the first failure, at once; starts that are under way then go on until the caller stops them
 */
export async function startInOrder(
  plan: ReadonlyMap<string, Waits>,
  start: (id: string) => Starting,
): Promise<void> {
  let failed = false;
  const begun = new Map<string, Starting>();
  const begin = (id: string): Starting => {
    const already = begun.get(id);
    if (already !== undefined) return already;
    const { started, healthy } = plan.get(id)!;
    const waits = Promise.all([
      ...started.map((other) => begin(other).started),
      ...healthy.map((other) => begin(other).healthy),
    ]);
    const running = waits.then(() => {
      // Whoever failed first is what the caller hears of; this one must only not start.
      if (failed) throw new Error("another process failed to start");
      return start(id);
    });
    const starting = {
      started: running.then((it) => it.started),
      healthy: running.then((it) => it.healthy),
    };
    begun.set(id, starting);
    return starting;
  };
  const all = [...plan.keys()].flatMap((id) => {
    const { started, healthy } = begin(id);
    return [started, healthy];
  });
  for (const promise of all) promise.catch(() => failed = true);
  await Promise.all(all);
}
