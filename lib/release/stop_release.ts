/**
 * `stop`: takes a release out of service on purpose.
 *
 * Invariant: the live pointer is cleared before anything stops, so arrivals get their 503 at once,
 * and what was stopped is not brought back by a later daemon; services and singletons keep running.
 */

import { Failure } from "../core/failure.ts";
import type { Fleet } from "./fleet.ts";
import { retire, retirementOf } from "./retire.ts";

/**
 * @param id undefined: the live release, or the one that is to be brought back
 * @param now true: what is in flight is cut instead of drained
 * @throws Failure when there is no such release
 */
export async function stopRelease(
  fleet: Fleet,
  id: string | undefined,
  now: boolean,
): Promise<void> {
  const chosen = id ?? fleet.active?.release_id ?? fleet.wanted;
  if (chosen === undefined) {
    throw new Failure("there is no live release to stop", { fix: "see `supervisor status`" });
  }
  const release = fleet.find(chosen);
  if (chosen === fleet.wanted) {
    fleet.wanted = undefined;
    await fleet.save();
  }
  if (release.state === "stopped") return;
  if (release !== fleet.active) {
    if (now) { for (const draining of release.drainings) draining.cut(); }
    await retirementOf(release);
    return;
  }
  const drainings = fleet.intakes.map((intake) => intake.swap(undefined));
  fleet.active = undefined;
  const retired = retire(fleet, release, drainings);
  // A daemon that dies during the drain shall not bring back what was stopped on purpose.
  await fleet.save();
  if (now) { for (const draining of drainings) draining.cut(); }
  await retired;
}
