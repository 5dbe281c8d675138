/**
 * The swap: build → prove → swap → drain → drop, for deploy, rollback, restore and reload alike.
 *
 * What happens when something fails:
 *
 * | failure in         | what is left                                                           |
 * | ------------------ | ---------------------------------------------------------------------- |
 * | build (build.ts)   | the old release, untouched                                             |
 * | the history file   | live with errors: a restart would bring back the release before        |
 * | a singleton, after | live with errors; the singleton is retried under its policy            |
 *
 * Invariant: up to the synchronous block nothing of the old release is touched; after it nothing of
 * the new one is undone.
 */

import type { ProcessConfig } from "../config/config.ts";
import { stamp } from "../core/clock.ts";
import { inSeconds } from "../core/duration.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { Draining } from "../core/gate.ts";
import { build, type Built, reasonOf } from "./build.ts";
import { type Fleet, releaseDirectory, standingProcesses } from "./fleet.ts";
import { initialConfig } from "./initial.ts";
import type { Order, Tell } from "./order.ts";
import type { Release } from "./release.ts";
import { releaseIdFor } from "./release_id.ts";
import { retire } from "./retire.ts";
import type { DeployResult } from "./types.ts";

export type { Order, Tell } from "./order.ts";

/** A deploy that is live. */
export interface Deployed {
  result: DeployResult;
  /** Resolves when the old release is stopped. */
  retired: Promise<void>;
}

/** @throws Failure; the old release then serves on as if nothing had been. */
export async function deploy(
  fleet: Fleet,
  asked: Order,
  teller: Tell,
  signal: AbortSignal,
): Promise<Deployed> {
  const { clock, emit } = fleet.ground;
  const began = clock.now();
  const order = asked.kind === "initial"
    ? { ...asked, config: initialConfig(asked.config) }
    : asked;
  const path = releaseDirectory(order.release_path);
  const name = order.release_id ?? releaseIdFor(order.revision, clock.wall());
  const id = fleet.unusedId(name);
  const release = fleet.make({
    release_id: id,
    lineage: order.lineage ?? id,
    release_path: path,
    revision: order.revision ?? name,
    state: "starting",
    started_at: stamp(clock.wall()),
  }, order.config);
  const tell: Tell = (step, message) => {
    emit("deploy_progress", { release: id, step, detail: message });
    teller(step, message);
  };
  emit("deploy_started", {
    release: id,
    release_path: path,
    revision: release.revision,
    kind: order.kind,
  });
  tell("started", `release ${id} from ${path}`);

  const unlist = fleet.list(release);
  let built: Built;
  try {
    built = await build(fleet, release, order, tell, signal);
  } catch (error) {
    release.become("failed");
    unlist();
    const failure = explain(error, id);
    emit("deploy_failed", {
      release: id,
      error: failure.message,
      ...(failure.fix !== undefined && { fix: failure.fix }),
      ms: Math.round(clock.now() - began),
      detail: failure.detail,
    });
    throw failure;
  }

  const previous = fleet.active;
  const switching = clock.now();
  const drainings = fleet.intakes.map((intake, index) => intake.swap(built.generations[index]));
  release.take(fleet.intakes, built.generations);
  release.become("active");
  fleet.active = release;
  fleet.wanted = undefined;
  order.adopt();
  const switched = Number((clock.now() - switching).toFixed(3));

  emit("traffic_switched", { release: id, previous: previous?.release_id ?? null, ms: switched });
  const live = Math.round(clock.now() - began);
  tell("live", `${id} is live in ${inSeconds(live)}`);
  const retired = retireOld(fleet, previous, drainings, tell);
  fleet.standing.redefine(order.config, release, release.ports);
  // Before anything that takes time: a daemon that dies from now on shall bring this release back.
  const unsaved = await fleet.save();
  const errors = unsaved === undefined
    ? []
    : [`${unsaved.message}; a restart of the daemon would bring back the release before`];
  errors.push(...await replaceStanding(fleet, release, order, built, tell, signal));
  emit("deploy_finished", { release: id, ms: Math.round(clock.now() - began), errors });
  const result: DeployResult = {
    status: errors.length === 0 ? "success" : "partial",
    active_release_id: id,
    previous_release_id: previous?.release_id ?? null,
    release_path: path,
    revision: release.revision,
    ms: live,
    errors,
  };
  return { result, retired };
}

/** Drains and stops the release that was live, in the background. */
async function retireOld(
  fleet: Fleet,
  previous: Release | undefined,
  drainings: Draining[],
  tell: Tell,
): Promise<void> {
  if (previous === undefined) return;
  tell("draining", `${previous.release_id} finishes what it holds`);
  await retire(fleet, previous, drainings);
  tell("drained", `${previous.release_id} is stopped`);
}

/** Singletons of the new release, and services that the caller wants replaced. */
async function replaceStanding(
  fleet: Fleet,
  release: Release,
  order: Order,
  { services }: Built,
  tell: Tell,
  signal: AbortSignal,
): Promise<string[]> {
  const { standing } = fleet;
  const errors: string[] = [];
  const configured = standingProcesses(order.config);
  for (const slot of standing.slots) {
    if (configured.some((process) => process.id === slot.id)) continue;
    const left = await standing.remove(slot.id);
    if (left !== undefined) errors.push(left.message);
  }
  const isNew = (id: string) => services.some((slot) => slot.id === id);
  for (const process of inTurn(configured)) {
    const { id, policy } = process;
    if (policy === "service" && (isNew(id) || !order.replace?.has(id))) continue;
    tell("singletons", `replacing ${id}`);
    try {
      signal.throwIfAborted();
      const { ports } = release;
      await standing.replace(process, order.config, release, ports, reasonOf(order), signal);
    } catch (error) {
      errors.push(`"${id}" does not run: ${messageOf(error)}`);
    }
  }
  standing.unplan();
  return errors;
}

/** What others depend on comes before them; otherwise the order of the file. */
function inTurn(processes: readonly ProcessConfig[]): ProcessConfig[] {
  const sorted = new Set<ProcessConfig>();
  const add = (process: ProcessConfig) => {
    for (const id of Object.keys(process.depends_on)) {
      const needed = processes.find((one) => one.id === id);
      if (needed !== undefined && !sorted.has(needed)) add(needed);
    }
    sorted.add(process);
  };
  for (const policy of ["service", "singleton"]) {
    processes.filter((one) => one.policy === policy).forEach(add);
  }
  return [...sorted];
}

function explain(error: unknown, id: string): Failure {
  if (error instanceof Failure) return error;
  return new Failure(`release "${id}" could not be started: ${messageOf(error)}`, { cause: error });
}
