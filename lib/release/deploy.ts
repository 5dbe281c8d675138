/**
 * The swap: build → prove → swap → drain → drop, for deploy, rollback, restore and reload alike.
 *
 * What happens when something fails:
 *
 * | failure in            | what is left                                                          |
 * | --------------------- | --------------------------------------------------------------------- |
 * | ports, templates      | nothing was started                                                   |
 * | a start or a probe    | the new release and services it started are stopped; old one untouched |
 * | a port a stranger took | the same, then again with other ports, PORT_TRIES times               |
 * | the daemon's end      | as a failed start                                                     |
 * | a singleton, after    | live with errors; the singleton is retried under its policy           |
 * | the history file      | live with errors: a restart would bring back the release before       |
 *
 * Invariant: up to the synchronous block nothing of the old release is touched; after it nothing of
 * the new one is undone.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import { stamp } from "../core/clock.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { Draining } from "../core/gate.ts";
import type { StartReason } from "../process/types.ts";
import { type Fleet, releaseDirectory } from "./fleet.ts";
import { ofRelease, type Release, STAY } from "./release.ts";
import { retire } from "./retire.ts";
import type { Slot } from "./slot.ts";
import { startInOrder } from "./start_in_order.ts";
import { startOrder } from "./start_order.ts";
import type { DeployResult, Progress } from "./types.ts";

/** Times a release is built anew because a stranger took one of its ports. */
const PORT_TRIES = 3;

/** What shall be live. */
export interface Order {
  kind: "deploy" | "rollback" | "reload" | "restore";
  release_path: string;
  release_id?: string;
  revision?: string;
  /** The deploy that brought this code, when it is not this one. */
  lineage?: string;
  /** The configuration to build with; it becomes the one in force with the swap. */
  config: Config;
  /** Singletons and services to replace although the release does not need it (changed by reload). */
  replace?: ReadonlySet<string>;
  /** Runs inside the synchronous block. */
  adopt: () => void;
}

/** A deploy that is live. */
export interface Deployed {
  result: DeployResult;
  /** Resolves when the old release is stopped. */
  retired: Promise<void>;
}

/** Tells how far a deploy is. */
export type Tell = (step: Progress["step"], message: string) => void;

/** @throws Failure; the old release then serves on as if nothing had been. */
export async function deploy(
  fleet: Fleet,
  order: Order,
  tell: Tell,
  signal: AbortSignal,
): Promise<Deployed> {
  const { clock, emit } = fleet.ground;
  const began = clock.now();
  const path = releaseDirectory(order.release_path);
  const asked = order.release_id ?? order.revision ?? timestampId(clock.wall());
  const id = fleet.unusedId(asked);
  const release = fleet.make({
    release_id: id,
    lineage: order.lineage ?? id,
    release_path: path,
    revision: order.revision ?? asked,
    state: "starting",
    started_at: stamp(clock.wall()),
  }, order.config);
  emit("deploy_started", {
    release: id,
    release_path: path,
    revision: release.revision,
    kind: order.kind,
  });
  tell("started", `release ${id} from ${path}`);

  const services: Slot[] = [];
  const forgotten = fleet.releases.find((one) => one.release_id === id);
  fleet.list(release);
  let generations: unknown[];
  try {
    generations = await build(fleet, release, services, order, tell, signal);
    signal.throwIfAborted();
    release.checkAlive();
  } catch (error) {
    await undo(fleet, release, services, forgotten);
    const failure = explain(error, id);
    emit("deploy_failed", {
      release: id,
      error: failure.message,
      ms: Math.round(clock.now() - began),
      detail: failure.detail,
    });
    throw failure;
  }

  const previous = fleet.active;
  const switching = clock.now();
  const drainings = fleet.intakes.map((intake, index) => intake.swap(generations[index]));
  release.generations = generations;
  release.become("active");
  fleet.active = release;
  order.adopt();
  const switched = Number((clock.now() - switching).toFixed(3));

  emit("traffic_switched", { release: id, previous: previous?.release_id ?? null, ms: switched });
  const live = Math.round(clock.now() - began);
  tell("live", `${id} is live in ${(live / 1000).toFixed(1)} s`);
  const retired = retireOld(fleet, previous, drainings, tell);
  const errors = await replaceStanding(fleet, release, order, tell);
  const unsaved = await fleet.save();
  if (unsaved !== undefined) {
    errors.push(`${unsaved.message}; a restart of the daemon would bring back the release before`);
  }
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

/** Starts and proves everything of the release. @returns the generation of each intake */
async function build(
  fleet: Fleet,
  release: Release,
  services: Slot[],
  order: Order,
  tell: Tell,
  signal: AbortSignal,
): Promise<unknown[]> {
  const taken = new Set<number>();
  await clearOrphans(fleet, order.config);
  for (let attempt = 1;; attempt++) {
    try {
      const missing = prepareServices(fleet, order, release);
      services.push(...missing);
      release.prepare(fleet.standing.ports, taken);
      const started = start(release, missing, order, tell, signal);
      const built = fleet.intakes.map((intake) => intake.build(release, signal));
      const [generations] = await Promise.all([Promise.all(built), started]);
      return generations;
    } catch (error) {
      const port = takenPort(error);
      if (port === undefined || attempt === PORT_TRIES) throw error;
      taken.add(port);
      await takeBack(fleet, release, services);
      fleet.ground.emit("port_retry", {
        process: String((error as Failure).detail?.process),
        release: release.release_id,
        port,
        attempt,
      });
      tell("building", `port ${port} was taken by another program; trying with others`);
    }
  }
}

/** What must not run beside the release that is about to start. Singletons are cleared by their turn. */
async function clearOrphans(fleet: Fleet, config: Config): Promise<void> {
  const ids = config.processes.filter((one) => one.policy !== "singleton").map((one) => one.id);
  await Promise.all(ids.map((id) => fleet.ground.orphans.clearFor(id)));
}

function prepareServices(fleet: Fleet, order: Order, release: Release): Slot[] {
  return order.config.processes
    .filter((process) => process.policy === "service" && !ofRelease(process))
    .map((process) => fleet.standing.prepare(process, order.config, release))
    .filter((slot) => slot !== undefined);
}

/** Runs the start plan over the release's own processes and the services it found missing. */
async function start(
  release: Release,
  services: readonly Slot[],
  order: Order,
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = release.ground;
  const reason: StartReason = order.kind === "rollback" ? "deploy" : order.kind;
  const mine = (process: ProcessConfig) =>
    ofRelease(process) || services.some((slot) => slot.id === process.id);
  const plan = startOrder(order.config.processes.filter(mine));
  await startInOrder(plan, (id) => {
    const began = clock.now();
    tell("building", `starting ${id}`);
    const service = services.find((slot) => slot.id === id);
    const starting = service === undefined
      ? release.begin(id, reason, signal)
      : beginService(service, reason, signal);
    const healthy = starting.healthy.then(() => {
      const port = service?.port ?? release.ports.get(id);
      const seconds = ((clock.now() - began) / 1000).toFixed(1);
      tell("proving", `${id} is up${port === undefined ? "" : ` on port ${port}`} (${seconds} s)`);
    });
    return { started: starting.started, healthy };
  });
}

function beginService(slot: Slot, reason: StartReason, signal: AbortSignal) {
  const healthy = slot.start(reason, { supervise: false, stay: STAY, signal });
  const started = slot.process.identity === undefined ? healthy : Promise.resolve();
  return { started, healthy };
}

/** Stops what a failed build started. What outlives SIGKILL is reported by its own event. */
async function takeBack(fleet: Fleet, release: Release, services: Slot[]): Promise<void> {
  await Promise.all([release.stop(), ...services.map((slot) => fleet.standing.undo(slot))]);
  services.length = 0;
  release.clear();
}

async function undo(
  fleet: Fleet,
  release: Release,
  services: Slot[],
  forgotten: Release | undefined,
): Promise<void> {
  await takeBack(fleet, release, services);
  release.become("failed");
  fleet.unlist(release);
  if (forgotten !== undefined) fleet.list(forgotten);
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
  tell: Tell,
): Promise<string[]> {
  const errors: string[] = [];
  const { config } = order;
  const configured = new Set(
    config.processes.filter((one) => !ofRelease(one)).map((one) => one.id),
  );
  for (const slot of fleet.standing.slots) {
    if (configured.has(slot.id)) continue;
    const left = await fleet.standing.remove(slot.id);
    if (left !== undefined) errors.push(left.message);
  }
  for (const process of config.processes.filter((one) => !ofRelease(one))) {
    if (process.policy === "service" && !order.replace?.has(process.id)) continue;
    tell("singletons", `replacing ${process.id}`);
    try {
      const reason = order.kind === "rollback" ? "deploy" : order.kind;
      await fleet.standing.replace(process, config, release, release.ports, reason);
    } catch (error) {
      errors.push(`"${process.id}" does not run: ${messageOf(error)}`);
    }
  }
  return errors;
}

/** The port a stranger holds, when that is why a start failed. */
function takenPort(error: unknown): number | undefined {
  if (!(error instanceof Failure) || error.detail?.port_taken !== true) return undefined;
  return typeof error.detail.port === "number" ? error.detail.port : undefined;
}

function explain(error: unknown, id: string): Failure {
  if (error instanceof Failure) return error;
  return new Failure(`release "${id}" could not be started: ${messageOf(error)}`, { cause: error });
}

/** `20261121014830123`: UTC, to the millisecond. */
function timestampId(wall: number): string {
  return stamp(wall).replace(/\D/g, "");
}
