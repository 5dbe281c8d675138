/**
 * From the configuration in force and the live release to the next of either or both: deploy,
 * rollback and reload are this one function with different targets.
 *
 * | what differs                           | what happens                                          |
 * | -------------------------------------- | ----------------------------------------------------- |
 * | something that cannot change (refused) | nothing; the failure names every such field           |
 * | an address                             | bound first, taken with the swap, let go on failure   |
 * | processes of the release, or a target  | a new generation by build → prove → swap → drain      |
 * | services, singletons                   | replaced after the swap; failures are named           |
 * | live settings                          | taken on with the swap                                |
 *
 * Invariant: a failure before the swap changes nothing, neither configuration nor release.
 */

import { compare } from "../config/mod.ts";
import type { Change, Config } from "../config/config.ts";
import { configuredPools } from "../config/roadrunner/pools.ts";
import { Exit, Failure, messageOf } from "../core/failure.ts";
import { comparisons } from "../../plugins/registry.ts";
import { deploy, type Deployed, type Order, type Tell } from "../release/deploy.ts";
import { standingProcesses } from "../release/fleet.ts";
import { hasInitial, isInitial } from "../release/initial.ts";
import { rebindAll } from "../release/rebind_all.ts";
import { ofRelease } from "../release/release.ts";
import type { Context } from "./context.ts";
import { initialTarget } from "./first_release.ts";

/** A release to make live; undefined: only what the configuration asks for. */
export type Target = Omit<Order, "config" | "adopt" | "replace">;

/** What a transition did. */
export interface Transition {
  changes: Change[];
  deployed?: Deployed;
  /** What failed after the swap. */
  errors: string[];
}

/** The configuration as it is on disk now, and how it differs. @throws Failure when it is bad. */
export async function planned(context: Context): Promise<{ next: Config; changes: Change[] }> {
  const next = await context.read();
  return { next, changes: compare(context.config, next, comparisons()) };
}

/** @throws Failure; nothing has changed then. */
export async function transition(
  context: Context,
  target: Target | undefined,
  tell: Tell,
  signal: AbortSignal,
): Promise<Transition> {
  const { next, changes } = await planned(context);
  refuse(changes);
  const { fleet } = context;
  const touched = touchedProcesses(changes);
  const standing = new Set(
    standingProcesses(next).map((one) => one.id).filter((id) => touched.has(id)),
  );
  const rebinding = await rebindAll(
    context.addresses().map((one) => () => one.rebind(next)),
  );
  const adopt = () => adoptConfig(context, next, changes, () => rebinding?.commit());
  const goal = target ?? currentAgain(context, next, changes);
  try {
    if (goal !== undefined) {
      const order: Order = { ...goal, config: next, replace: standing, adopt };
      const deployed = await deploy(fleet, order, tell, signal);
      return { changes, deployed, errors: deployed.result.errors };
    }
  } catch (error) {
    rebinding?.undo();
    throw error;
  }
  adopt();
  const errors = await replaceTouched(context, next, standing, touched, signal);
  const unsaved = await fleet.save();
  if (unsaved !== undefined) errors.push(unsaved.message);
  return { changes, errors };
}

/** @throws Failure naming every field that cannot change while the daemon runs. */
function refuse(changes: readonly Change[]): void {
  const refused = changes.filter((change) => change.effect === "refused");
  if (refused.length === 0) return;
  const fields = refused.map(({ field, reason }) =>
    reason === undefined ? `${field} changed` : `${field} changed (${reason})`
  );
  throw new Failure(`the configuration cannot be applied: ${fields.join(", ")}`, {
    exit: Exit.config,
    fix: "undo the change, or shut the daemon down and start it again",
    detail: { fields: refused.map((change) => change.field) },
  });
}

/** Ids of processes that a change of effect "generation" touches. */
function touchedProcesses(changes: readonly Change[]): Set<string> {
  const ids = changes.filter((change) => change.effect === "generation").map((one) => one.process);
  return new Set(ids.filter((id) => id !== undefined));
}

/** The live release again, when something changed that only a new generation can show. */
function currentAgain(
  { fleet, config }: Context,
  next: Config,
  changes: readonly Change[],
): Target | undefined {
  const active = fleet.active;
  if (active === undefined) {
    const isFirst = fleet.releases.length === 0 && !hasInitial(config);
    return isFirst && hasInitial(next) ? initialTarget(next) : undefined;
  }
  const initial = isInitial(active.record);
  // What belongs to a release now, or is going to; the daemon's own processes are replaced alone.
  const concerned = new Set(
    [...config.processes, ...next.processes]
      .filter((one) => initial ? one.origin === "service" : ofRelease(one)).map((one) => one.id),
  );
  const needed = changes.some(({ process, effect }) =>
    effect === "generation" && (process === undefined || concerned.has(process))
  );
  if (!needed) return undefined;
  if (initial) return initialTarget(next);
  const { release_path, revision, lineage } = active.record;
  return { kind: "reload", release_path, release_id: lineage, revision, lineage };
}

/** Synchronous: part of the swap. */
function adoptConfig(
  context: Context,
  next: Config,
  changes: readonly Change[],
  rebind: () => void,
): void {
  const { fleet } = context;
  const before = fleet.intakes.map((intake) => intake.drainBudget());
  const recounted = recountedPools(context.config, next);
  context.config = next;
  fleet.config = next;
  for (const { field, process } of changes) {
    const fields = [`processes.${process}`, `processes.${process}.replicas`];
    if (process !== undefined && fields.includes(field)) fleet.forgetCount(process);
  }
  for (const pool of recounted) fleet.forgetCount(pool);
  rebind();
  for (const one of context.addresses()) one.configure(next);
  fleet.standing.update(next);
  for (const release of fleet.releases) {
    if (release.state === "stopped") continue;
    release.update(next);
    for (const [index, draining] of release.drainings.entries()) {
      const longer = fleet.intakes[index].drainBudget() - before[index];
      if (longer !== 0) draining.extend(longer);
    }
  }
  fleet.retain();
  if (changes.length > 0) {
    context.emit("config_reloaded", {
      changes: changes.map((change) => `${change.field} (${change.effect})`),
    });
  }
  for (const message of next.warnings) context.emit("config_warning", { message });
}

/** Pools that are configured with another number of workers now, or no more. */
function recountedPools(old: Config, next: Config): string[] {
  const counts = new Map(
    configuredPools(next).map(({ name, settings }) => [name, settings.num_workers]),
  );
  return configuredPools(old).filter(({ name, settings }) =>
    counts.get(name) !== settings.num_workers
  ).map(({ name }) => name);
}

/** Services and singletons whose own definition changed while the release stays. */
async function replaceTouched(
  context: Context,
  next: Config,
  standing: ReadonlySet<string>,
  touched: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<string[]> {
  const { fleet } = context;
  const release = fleet.active;
  const errors: string[] = [];
  const configured = new Set(standingProcesses(next).map((one) => one.id));
  for (const id of touched) {
    if (configured.has(id)) continue;
    const left = await fleet.standing.remove(id);
    if (left !== undefined) errors.push(left.message);
  }
  for (const process of next.processes.filter((one) => standing.has(one.id))) {
    // After a stop nothing is live, but what outlives releases still is what its last one made it.
    const origin = release ?? fleet.standing.find(process.id)?.around.release;
    if (origin === undefined) continue;
    const ports = release?.ports ?? new Map();
    try {
      signal.throwIfAborted();
      await fleet.standing.replace(process, next, origin, ports, "reload", signal);
    } catch (error) {
      errors.push(`"${process.id}" does not run: ${messageOf(error)}`);
    }
  }
  return errors;
}
