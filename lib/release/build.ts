/**
 * Build and prove: everything of a release started, believed to work, and not yet live.
 *
 * | failure in             | what is left                                                    |
 * | ---------------------- | --------------------------------------------------------------- |
 * | ports, templates       | nothing was started                                             |
 * | a start or a probe     | everything started for it is stopped again                      |
 * | a port a stranger took | the same, then again with other ports, PORT_TRIES times in all  |
 * | an intake              | as a failed start; generations that other intakes made are dropped |
 * | the daemon's end       | as a failed start                                               |
 *
 * Invariant: nothing of the release that is live is touched, and when it throws, nothing of the new
 * one is left: no program, no port, no generation.
 */

import type { ProcessConfig } from "../config/config.ts";
import { inSeconds } from "../core/duration.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { StartReason } from "../process/types.ts";
import type { Fleet } from "./fleet.ts";
import type { Intake } from "./intake.ts";
import type { Order, Tell } from "./order.ts";
import { ofRelease, type Release, STAY } from "./release.ts";
import type { Slot } from "./slot.ts";
import { startInOrder } from "./start_in_order.ts";
import { startOrder } from "./start_order.ts";

/** Times a release is built because a stranger took one of its ports. */
const PORT_TRIES = 3;

/** What is ready to go live. */
export interface Built {
  /** The generation of each intake, in their order. */
  generations: unknown[];
  /** Services that were missing and run now. */
  services: Slot[];
}

/** @throws Failure when something does not start, the signal's reason when it is aborted */
export async function build(
  fleet: Fleet,
  release: Release,
  order: Order,
  tell: Tell,
  signal: AbortSignal,
): Promise<Built> {
  const taken = new Set<number>();
  for (let attempt = 1;; attempt++) {
    const services: Slot[] = [];
    try {
      await clearOrphans(fleet, order);
      prepare(fleet, release, services, order, taken);
      const generations = await prove(fleet, release, services, order, tell, signal);
      return { generations, services };
    } catch (error) {
      await takeBack(fleet, release, services);
      const port = takenPort(error);
      if (port === undefined || attempt === PORT_TRIES || signal.aborted) throw error;
      taken.add(port);
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

/** What must not run beside what is about to start. Singletons are cleared by their turn. */
async function clearOrphans({ ground: { orphans } }: Fleet, { config }: Order): Promise<void> {
  const early = config.processes.filter((one) => one.policy !== "singleton");
  await Promise.all(early.map((one) => orphans.clearFor(one.id)));
}

/** All ports first, because everything that starts may be told of all of them; then all copies. */
function prepare(
  { standing }: Fleet,
  release: Release,
  services: Slot[],
  { config }: Order,
  taken: ReadonlySet<number>,
): void {
  const planned = standing.plan(config, release, taken);
  release.prepare(planned, taken);
  const ports = new Map([...planned, ...release.ports]);
  for (const process of config.processes.filter((one) => !ofRelease(one))) {
    if (process.policy === "singleton") standing.check(process, config, release, ports);
    else {
      const missing = standing.prepare(process, config, release, ports);
      if (missing !== undefined) services.push(missing);
    }
  }
}

/** Starts and proves everything. @returns the generation of each intake */
async function prove(
  fleet: Fleet,
  release: Release,
  services: readonly Slot[],
  order: Order,
  tell: Tell,
  signal: AbortSignal,
): Promise<unknown[]> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let built: Promise<unknown>[] = [];
  try {
    await start(release, services, order, tell, either);
    // Workers come last: they may need every program beside them.
    built = fleet.intakes.map((intake) => buildOne(fleet, intake, release, tell, either));
    const generations = await Promise.all(built);
    signal.throwIfAborted();
    release.checkAlive();
    return generations;
  } catch (error) {
    failed.abort(error);
    await dropAll(fleet, await Promise.allSettled(built));
    throw error;
  }
}

async function buildOne(
  { ground: { clock } }: Fleet,
  // deno-lint-ignore no-explicit-any -- as in Fleet
  intake: Intake<any>,
  release: Release,
  tell: Tell,
  signal: AbortSignal,
): Promise<unknown> {
  const began = clock.now();
  const generation = await intake.build(release, signal);
  for (const pool of intake.pools(generation)) {
    const took = inSeconds(clock.now() - began);
    tell("proving", `${pool.name}: ${pool.alive} workers are ready (${took})`);
  }
  return generation;
}

async function dropAll(fleet: Fleet, built: PromiseSettledResult<unknown>[]): Promise<void> {
  for (const [index, result] of built.entries()) {
    if (result.status === "rejected") continue; // Nothing of it is left, and the failure is told.
    try {
      await fleet.intakes[index].drop(result.value);
    } catch (error) {
      const where = `dropping an unused generation of ${fleet.intakes[index].name}`;
      fleet.ground.emit("internal_error", { where, error: messageOf(error) });
    }
  }
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
  const reason = reasonOf(order);
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
      const took = inSeconds(clock.now() - began);
      tell("proving", `${id} is up${port === undefined ? "" : ` on port ${port}`} (${took})`);
    });
    return { started: starting.started, healthy };
  });
}

function beginService(slot: Slot, reason: StartReason, signal: AbortSignal) {
  const healthy = slot.start(reason, { supervise: false, stay: STAY, signal });
  const started = slot.process.identity === undefined ? healthy : Promise.resolve();
  return { started, healthy };
}

/** Why the programs of an order are started, as status tells it. */
export function reasonOf({ kind }: Order): StartReason {
  return kind === "rollback" || kind === "initial" ? "deploy" : kind;
}

/** Stops what was started. What outlives SIGKILL is reported by its own event. */
async function takeBack(fleet: Fleet, release: Release, services: Slot[]): Promise<void> {
  await Promise.all([release.stop(), ...services.map((slot) => fleet.standing.undo(slot))]);
  fleet.standing.unplan();
  release.clear();
}

/** The port a stranger holds, when that is why a start failed. */
function takenPort(error: unknown): number | undefined {
  if (!(error instanceof Failure) || error.detail?.port_taken !== true) return undefined;
  return typeof error.detail.port === "number" ? error.detail.port : undefined;
}
