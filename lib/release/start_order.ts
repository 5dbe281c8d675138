/**
 * In which order the processes of one deploy start: a pure plan.
 *
 * The tiers (services, companions, proxied) are the order unless `depends_on` says otherwise: what a
 * process of an earlier tier needs (directly or through others) moves up into that tier, and everything
 * of a later tier waits until everything of the earlier ones has been started.
 *
 * Invariant: the plan has no cycles, given that `depends_on` alone has none (the configuration
 * refuses those). For nobody waits for a later tier: a cycle would lie within one, where only
 * `depends_on` makes processes wait.
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
  const tiers = tiersOf(processes);
  const plan = new Map<string, Waits>();
  for (const { id, depends_on } of processes) {
    const waits: Waits = { started: [], healthy: [] };
    for (const [needed, condition] of Object.entries(depends_on)) {
      if (tiers.has(needed)) waits[condition].push(needed);
    }
    for (const [other, tier] of tiers) {
      if (tier >= tiers.get(id)! || Object.hasOwn(depends_on, other)) continue;
      waits.started.push(other);
    }
    plan.set(id, waits);
  }
  return plan;
}

/** The tier of each process: its policy's, or the earliest one of those who need it. */
function tiersOf(processes: readonly ProcessConfig[]): Map<string, number> {
  const byId = new Map(processes.map((process) => [process.id, process]));
  const tiers = new Map<string, number>();
  const moveUp = (process: ProcessConfig, tier: number) => {
    if ((tiers.get(process.id) ?? Infinity) <= tier) return;
    tiers.set(process.id, tier);
    for (const id of Object.keys(process.depends_on)) {
      const needed = byId.get(id);
      if (needed !== undefined) moveUp(needed, Math.min(tier, TIER[needed.policy]));
    }
  };
  for (const process of processes) moveUp(process, TIER[process.policy]);
  return new Map(processes.map(({ id }) => [id, tiers.get(id)!]));
}
