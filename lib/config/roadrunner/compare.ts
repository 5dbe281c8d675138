/**
 * How changes of RoadRunner's sections take effect, as far as several have it in common.
 *
 * Invariant: as in ../compare.ts: no difference is passed over.
 */

import { differences } from "../compare.ts";
import type { Change } from "../config.ts";

/** A section with an address of its own: that is a new listener, the rest applies live. */
export function compareAddressed(name: string, old: unknown, next: unknown): Change[] {
  const address = `${name}.address`;
  return differences(
    name,
    old,
    next,
    (field) => field === name || field === address ? "listener" : "live",
    (field) => field === address,
  );
}

/** What workers are started from, or never change in. */
const OF_NEW_WORKERS = ["command", "num_workers", "debug", "warmup"];

/** Whether a field below `pool` (`http.pool`) needs new workers; its other limits apply live. */
export function needsNewWorkers(pool: string, field: string): boolean {
  return OF_NEW_WORKERS.some((key) => {
    const one = `${pool}.${key}`;
    return field === one || field.startsWith(`${one}.`);
  });
}
