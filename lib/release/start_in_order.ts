/**
 * Runs a start plan: everything that may start does so at once, the rest as soon as what it waits
 * for is there.
 *
 * Invariant: after the first failure nothing new is started, and that failure is what the caller
 * hears of.
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
  let first: { failure: unknown } | undefined;
  const failed = (failure: unknown) => void (first ??= { failure });
  const begun = new Map<string, Starting>();
  const startNow = (id: string): Starting => {
    // What came too late fails as what came first: whichever is heard of first tells the same.
    if (first !== undefined) throw first.failure;
    try {
      const starting = start(id);
      starting.started.catch(failed);
      starting.healthy.catch(failed);
      return starting;
    } catch (error) {
      failed(error);
      throw error;
    }
  };
  const begin = (id: string): Starting => {
    const already = begun.get(id);
    if (already !== undefined) return already;
    const { started, healthy } = plan.get(id)!;
    const waits = Promise.all([
      ...started.map((other) => begin(other).started),
      ...healthy.map((other) => begin(other).healthy),
    ]);
    const running = waits.then(() => startNow(id));
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
  // Each is waited for below, but only the first failure of several is heard there.
  for (const promise of all) promise.catch(() => {});
  await Promise.all(all);
}
