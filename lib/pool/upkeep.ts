/**
 * What is done about every worker at each tick: limits, self-probes, and whether the accounts agree.
 *
 * Workers that answer the question who they are only once are not probed.
 *
 * Invariants: a limit only marks a worker and wishes for its successor; a self-probe is sent to a worker
 * that is free, to one in four at most at a time, so that requests find others.
 */

import type { Clock } from "../core/clock.ts";
import type { System } from "../os/system.ts";
import type { Crew } from "./crew.ts";
import type { HandOut } from "./hand_out.ts";
import type { Worker } from "./worker.ts";

/** After so much idleness a worker is asked whether it still listens, milliseconds. */
const PROBE_AFTER = 30_000;
/** One in so many is asked at a time. */
const PROBE_SHARE = 4;
/** Workers as old as this prove that starting them works, milliseconds. */
const STEADY_AFTER = 10_000;

/**
 * Inspects everybody, unless nobody could be replaced.
 *
 * @returns true when workers have stood for long enough to forget the trouble there was
 */
export function inspect(crew: Crew, handOut: HandOut, system: System, clock: Clock): boolean {
  if (crew.quiesced) return false;
  const now = clock.now();
  let probes = Math.ceil(crew.slots.length / PROBE_SHARE);
  let steady = true;
  for (const slot of [...crew.slots]) {
    const { worker } = slot;
    if (worker === undefined || now - worker.process.startedAt < STEADY_AFTER) steady = false;
    if (worker === undefined) continue;
    const why = worker.inspect(system.row(worker.ownPid));
    if (why !== undefined) crew.wish(slot, { why, since: now });
    if (!worker.asks || !worker.free || now - worker.restingSince < PROBE_AFTER || probes-- <= 0) {
      continue;
    }
    handOut.withdraw(worker);
    worker.probe();
  }
  if (!steady || crew.pace.trouble === undefined) return false;
  crew.pace.forgive();
  return true;
}

/** What does not agree between those who work and those who are handed out; undefined: all does. */
export function audit(crew: Crew, handOut: HandOut): string | undefined {
  const free: Worker[] = [];
  for (const { worker } of crew.slots) if (worker?.free) free.push(worker);
  return handOut.verify(free);
}
