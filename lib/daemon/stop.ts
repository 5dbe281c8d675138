/**
 * The end of a daemon, in the order that loses nothing: no new work, what is held is finished within
 * the drain budget, then every process stops, what others depend on last.
 *
 * Invariant: bounded. Without hurry by the drain budget plus the stop ladders; `hurry` shortens all
 * of them at any moment.
 */

import type { ProcessConfig } from "../config/config.ts";
import { Failure } from "../core/failure.ts";
import type { StopOptions } from "../process/types.ts";
import type { Fleet } from "../release/fleet.ts";
import type { Release } from "../release/release.ts";
import { dropGenerations, retirementOf } from "../release/retire.ts";
import type { Context } from "./context.ts";

/** Why work that is under way ends. */
export function stopping(): Failure {
  return new Failure("the daemon is shutting down", {
    fix: "start it again with `supervisor serve`",
  });
}

/** Takes no more work in and finishes what is held. */
export async function drainIntakes({ fleet, emit }: Context): Promise<void> {
  const budgets = fleet.intakes.map((intake) => intake.drainBudget());
  const drained = await Promise.all(
    fleet.intakes.map((intake, index) => intake.drain(budgets[index])),
  );
  const cut = drained.reduce((sum, one) => sum + one.cut, 0);
  if (cut > 0) {
    emit("drain_cut", { connections: cut, budget_ms: Math.max(...budgets) });
  }
}

/** Takes the stable sides apart, after the last generation is gone. */
export async function closeIntakes({ fleet }: Context): Promise<void> {
  await Promise.all(fleet.intakes.map((intake) => intake[Symbol.asyncDispose]()));
}

/** Stops every process of every release and the singletons, then what they may depend on: services. */
export async function stopProcesses(context: Context): Promise<string[]> {
  const { fleet, turn } = context;
  await turn.idle;
  const releases = fleet.releases.filter((release) => release.state !== "stopped");
  for (const release of releases) {
    release.quiesce();
    for (const draining of release.drainings) draining.cut();
  }
  const stop = (which: (config: ProcessConfig) => boolean) =>
    Promise.all(releases.map((release) => release.stop(which, hasteOf(context))));
  for (const pool of releases.flatMap((release) => release.pools)) {
    const { within } = hasteOf(context);
    if (within !== undefined) pool.hurry(within);
  }
  const [stopped, dropped] = await Promise.all([
    stop((process) => process.policy !== "service"),
    Promise.all(releases.map((release) => endGenerations(fleet, release))),
  ]);
  const left = [
    ...stopped,
    await fleet.standing.stop(hasteOf(context), "singleton"),
    ...await stop((process) => process.policy === "service"),
    await fleet.standing.stop(hasteOf(context), "service"),
  ];
  const errors = left.filter((failure) => failure !== undefined).map((failure) => failure.message);
  errors.push(...dropped.flat());
  for (const release of releases) {
    // Whoever was on its way out saves the history at its end.
    await retirementOf(release);
    release.become("stopped");
  }
  return errors;
}

/** What the intakes built for a release; whoever is on its way out takes it apart itself. */
function endGenerations(fleet: Fleet, release: Release): Promise<string[]> {
  return retirementOf(release) === undefined
    ? dropGenerations(fleet, release)
    : Promise.resolve([]);
}

/**
 * Ends what is left of anybody after all groups were stopped: orphans of an earlier daemon, and
 * descendants that escaped from their groups and came back to us as their reaper.
 */
export async function endLeftovers(context: Context): Promise<void> {
  const { fleet, machine, emit } = context;
  await fleet.ground.orphans.clear(hasteOf(context).within);
  const left = machine.descendants();
  if (left.length === 0) return;
  for (const { pid, start } of left) {
    machine.signal({ pid, start, boot_id: machine.bootId }, "SIGKILL");
  }
  emit("process_leftovers_killed", { process: "(escaped)", pids: left.map((row) => row.pid) });
}

/**
 * Every budget of the end, running or yet to come, becomes at most `ms` milliseconds from now; 0
 * kills at once.
 */
export function hurry(context: Context, ms: number): void {
  const { fleet, clock } = context;
  context.hurried = clock.now() + ms;
  clock.timer(ms, () => fleet.intakes.forEach((intake) => intake.cut()));
  const slots = [...fleet.standing.slots, ...fleet.releases.flatMap((release) => release.slots)];
  for (const slot of slots) slot.process.hurry(ms);
  for (const release of fleet.releases) {
    for (const draining of release.drainings) draining.atMost(ms);
    for (const pool of release.pools) pool.hurry(ms);
  }
}

/** How a stop that begins now is to be taken, after somebody was in a hurry. */
function hasteOf({ hurried, clock }: Context): StopOptions {
  return hurried === undefined ? {} : { within: Math.max(0, hurried - clock.now()) };
}
