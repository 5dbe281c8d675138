/**
 * In which order the processes of one deploy start: a pure plan.
 *
 * The tiers (services, companions, proxied) are the order unless `depends_on` says otherwise: a
 * process of a later tier waits until everything of the earlier tiers has been started, except what
 * (transitively) depends on the process itself.
 *
 * Invariant: the plan has no cycles, given that `depends_on` alone has none (the configuration
 * refuses those).
 */

import type { ProcessConfig } from "../config/config.ts";

/** What a process waits for before it starts. */
export interface Waits {
  /** Must have been started. */
  started: string[];
  /** Must be proven. */
  healthy: string[];
}

const TIER = { service: 0, companion: 1, proxied: 2, singleton: 3 } as const;

/** For each of `processes` (by id) what it waits for among them. */
export function startOrder(processes: readonly ProcessConfig[]): Map<string, Waits> {
  const byId = new Map(processes.map((process) => [process.id, process]));
  const plan = new Map<string, Waits>();
  for (const process of processes) {
    const waits: Waits = { started: [], healthy: [] };
    for (const [id, condition] of Object.entries(process.depends_on)) {
      if (byId.has(id)) waits[condition].push(id);
    }
    for (const other of processes) {
      if (TIER[other.policy] >= TIER[process.policy]) continue;
      if (other.id in process.depends_on || dependsOn(other, process.id, byId)) continue;
      waits.started.push(other.id);
    }
    plan.set(process.id, waits);
  }
  return plan;
}

/** Whether `process` needs `id`, directly or through others. */
function dependsOn(
  process: ProcessConfig,
  id: string,
  byId: ReadonlyMap<string, ProcessConfig>,
  seen = new Set<string>(),
): boolean {
  if (seen.has(process.id)) return false;
  seen.add(process.id);
  return Object.keys(process.depends_on).some((needed) => {
    if (needed === id) return true;
    const next = byId.get(needed);
    return next !== undefined && dependsOn(next, id, byId, seen);
  });
}
