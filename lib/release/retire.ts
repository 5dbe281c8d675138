/**
 * The way out of a release: drain, then stop, then drop.
 *
 * Order: companions that need no drain stop at once; when the last lease is back (or the budget is
 * used up and the rest is cut) the proxied processes, the workers and the other companions stop;
 * handoff services stop last, so that nothing loses its broker while it finishes.
 *
 * Invariant: one retirement per release; a second caller joins the first. It never throws: what goes
 * wrong is an event, and the release ends as stopped with the survivors named.
 */

import type { ProcessConfig } from "../config/config.ts";
import type { Draining } from "../core/gate.ts";
import { messageOf } from "../core/failure.ts";
import type { Fleet } from "./fleet.ts";
import type { Release } from "./release.ts";

const isHandoff = (process: ProcessConfig) => process.policy === "service";

const underWay = new WeakMap<Release, Promise<void>>();

/**
 * Retires `release`, which is no longer live.
 *
 * @param drainings what the swap handed back
 */
export function retire(fleet: Fleet, release: Release, drainings: Draining[]): Promise<void> {
  const already = underWay.get(release);
  if (already !== undefined) return already;
  const retirement = drainAndStop(fleet, release, drainings);
  underWay.set(release, retirement);
  return retirement;
}

/** The retirement of a release that is on its way out, if it is. */
export function retirementOf(release: Release): Promise<void> | undefined {
  return underWay.get(release);
}

/** Takes apart what the intakes built for a release that is not live. @returns what went wrong */
export async function dropGenerations(fleet: Fleet, release: Release): Promise<string[]> {
  const errors: string[] = [];
  const { generations } = release;
  release.generations = [];
  for (const [index, generation] of generations.entries()) {
    try {
      await fleet.intakes[index].drop(generation);
    } catch (error) {
      errors.push(messageOf(error));
    }
  }
  return errors;
}

async function drainAndStop(fleet: Fleet, release: Release, drainings: Draining[]): Promise<void> {
  const { clock, emit } = fleet.ground;
  const began = clock.now();
  const budgets = fleet.intakes.map((intake) => intake.drainBudget());
  const errors: string[] = [];
  release.drainings = drainings;
  release.become("draining");
  release.quiesce();
  release.update(fleet.config);
  const leases = drainings.reduce((sum, draining) => sum + draining.held, 0);
  emit("release_draining", {
    release: release.release_id,
    leases,
    budget_ms: Math.max(...budgets),
  });
  const early = release.stop((process) => process.non_blocking_drain);

  for (const [index, draining] of drainings.entries()) draining.within(budgets[index]);
  await Promise.all(drainings.map((draining) => draining.idle));
  const cut = drainings.reduce((sum, draining) => sum + draining.wasCut, 0);
  emit("release_drained", {
    release: release.release_id,
    ms: Math.round(clock.now() - began),
    cut,
  });

  release.become("stopping");
  const rest = release.stop((process) => !isHandoff(process) && !process.non_blocking_drain);
  const dropped = dropGenerations(fleet, release);
  for (const left of await Promise.all([early, rest])) {
    if (left !== undefined) errors.push(left.message);
  }
  errors.push(...await dropped);
  const left = await release.stop(isHandoff);
  if (left !== undefined) errors.push(left.message);
  release.become("stopped");
  release.clear();
  emit("release_stopped", {
    release: release.release_id,
    ms: Math.round(clock.now() - began),
    errors,
  });
  fleet.retain();
  await fleet.save();
}
