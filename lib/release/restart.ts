/**
 * Restart and scale inside the live release, one copy at a time.
 *
 * A proxied process, and every copy of a process with several, is replaced new before old: the new
 * one is proven, takes the place, the old one finishes what it holds and stops. What must not run
 * twice (singletons, services, single companions, a fixed port) stops first.
 *
 * Invariant: when a new copy cannot be proven, the old one stays as it was.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import { configuredPools } from "../config/roadrunner/pools.ts";
import { Failure } from "../core/failure.ts";
import type { Draining } from "../core/gate.ts";
import type { StartReason } from "../process/types.ts";
import type { Fleet } from "./fleet.ts";
import { scalePool } from "./pool_work.ts";
import { type Release, STAY } from "./release.ts";
import { hasFixedPort, type Slot, stopFailure } from "./slot.ts";

/** What shall be restarted. */
export interface RestartChoice {
  /** Configured id or instance id. */
  process?: string;
  policy?: string;
}

/**
 * @returns instance ids in the order they were restarted
 * @throws Failure when nothing matches, or at the first copy that does not come up
 */
export async function restart(
  fleet: Fleet,
  choice: RestartChoice,
  signal: AbortSignal,
): Promise<string[]> {
  const chosen = [...fleet.standing.slots, ...(fleet.active?.slots ?? [])].filter((slot) =>
    (choice.process === undefined || slot.id === choice.process ||
      slot.instance === choice.process) &&
    (choice.policy === undefined || slot.place.config.policy === choice.policy)
  );
  if (chosen.length === 0) {
    const { process, policy = "running" } = choice;
    const what = process === undefined ? `${policy} process` : `process "${process}"`;
    throw new Failure(`there is no ${what} to restart`, { fix: restartable(fleet) });
  }
  const done: string[] = [];
  for (const slot of chosen) {
    signal.throwIfAborted();
    const release = fleet.active;
    if (release !== undefined && release.slots.includes(slot) && canOverlap(slot)) {
      await replaceCopy(fleet, release, slot, "manual", signal);
    } else await slot.process.restart("manual", { stay: STAY, signal });
    done.push(slot.instance);
  }
  return done;
}

/** What can be restarted, for people. */
function restartable({ standing, active }: Fleet): string {
  const known = [...standing.slots, ...(active?.slots ?? [])].map(({ id }) => id);
  const hints = known.length === 0 ? [] : [`running processes: ${[...new Set(known)].join(", ")}`];
  const pools = active?.pools.map(({ name }) => name) ?? [];
  if (pools.length > 0) hints.push(`workers (${pools.join(", ")}) are replaced by \`reset\``);
  return hints.length === 0 ? "nothing runs: deploy a release first" : hints.join("; ");
}

/**
 * Runs `count` copies of a process, or workers of a pool, of the live release.
 * @returns how many there were
 * @throws Failure when there is no such thing, the process cannot have several, or a new copy does not come up (copies that
 *   came up stay)
 */
export async function scale(
  fleet: Fleet,
  name: string,
  count: number,
  signal: AbortSignal,
): Promise<number> {
  const process = fleet.config.processes.find((one) => one.id === name);
  if (process === undefined) {
    const workers = await scalePool(fleet, name, count, signal);
    if (workers !== undefined) return workers;
    const what = configuredPools(fleet.config).length > 0 ? "process or worker pool" : "process";
    throw new Failure(`there is no ${what} "${name}" to scale`, { fix: scalable(fleet.config) });
  }
  checkScalable(process, count);
  const release = fleet.active;
  const previous = release?.copies(name).length ?? fleet.count(process);
  if (release !== undefined) await resize(fleet, release, process, count, signal);
  fleet.setCount(process, count);
  const unsaved = await fleet.save();
  if (unsaved !== undefined) throw unsaved;
  return previous;
}

/** What can be scaled, for people. */
function scalable(config: Config): string {
  const kinds = {
    processes: config.processes.map(({ id }) => id),
    pools: configuredPools(config).map(({ name }) => name),
  };
  return Object.entries(kinds).filter(([, names]) => names.length > 0)
    .map(([kind, names]) => `${kind}: ${names.join(", ")}`).join("; ");
}

function checkScalable(process: ProcessConfig, count: number): void {
  const { id, policy, port } = process;
  if (policy !== "proxied" && policy !== "companion") {
    throw new Failure(`"${id}" is a ${policy}: there is exactly one of it`, {
      fix: "only proxied processes and companions can be scaled",
    });
  }
  if (port === undefined || port.from === 0) return;
  const ports = port.to - port.from + 1;
  if (count > ports) {
    throw new Failure(`"${id}" cannot have ${count} copies: its port range has ${ports} ports`, {
      fix: `widen processes.${id}.port to at least ${count * 2} ports and reload`,
    });
  }
}

async function resize(
  fleet: Fleet,
  release: Release,
  process: ProcessConfig,
  count: number,
  signal: AbortSignal,
): Promise<void> {
  const copies = release.copies(process.id);
  const indexes = new Set(copies.map((slot) => slot.place.index));
  for (let index = 0, missing = count - copies.length; missing > 0; index++) {
    if (indexes.has(index)) continue;
    const slot = release.addCopy(process, index, Math.max(count, 2), fleet.standing.ports);
    await prove(slot, "scale", signal);
    release.admit(slot);
    missing--;
  }
  const surplus = copies.slice(count);
  for (const slot of surplus) await letGo(fleet, release, slot);
}

/** New before old. */
export async function replaceCopy(
  fleet: Fleet,
  release: Release,
  slot: Slot,
  reason: StartReason,
  signal: AbortSignal,
): Promise<void> {
  const { config, index, count } = slot.place;
  const next = release.addCopy(config, index, count, fleet.standing.ports);
  await prove(next, reason, signal);
  const draining = release.admit(next);
  await finish(fleet, slot, draining);
}

/** @throws Failure; the new copy is stopped then. */
async function prove(slot: Slot, reason: StartReason, signal: AbortSignal): Promise<void> {
  try {
    await slot.start(reason, { supervise: false, stay: STAY, signal });
  } catch (error) {
    await slot.stop();
    throw error;
  }
}

async function letGo(fleet: Fleet, release: Release, slot: Slot): Promise<void> {
  await finish(fleet, slot, release.remove(slot));
}

/** A copy that gets no new work finishes what it holds, within the drain budget; then it stops. */
async function finish(fleet: Fleet, slot: Slot, draining: Draining | undefined): Promise<void> {
  slot.process.quiesce();
  draining?.within(fleet.config.proxy?.drain_timeout ?? 0);
  await draining?.idle;
  const left = stopFailure(`"${slot.instance}" is not wholly stopped`, [await slot.stop()]);
  if (left !== undefined) throw left;
}

/** Whether a second copy may run beside the first. */
function canOverlap(slot: Slot): boolean {
  const { config, count } = slot.place;
  if (hasFixedPort(config)) return false;
  return config.policy === "proxied" || (config.policy === "companion" && count > 1);
}
