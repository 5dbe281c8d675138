/**
 * `stop`: takes a release out of service on purpose.
 *
 * Invariant: the live pointer is cleared before anything stops, so arrivals get their 503 at once;
 * services and singletons keep running.
 */

import { Failure } from "../core/failure.ts";
import type { Fleet } from "./fleet.ts";
import { retire, retirementOf } from "./retire.ts";

/**
 * @param id undefined: the live release
 * @param now true: what is in flight is cut instead of drained
 * @throws Failure when there is no such release
 */
export async function stopRelease(
  fleet: Fleet,
  id: string | undefined,
  now: boolean,
): Promise<void> {
  const release = id === undefined ? fleet.active : fleet.find(id);
  if (release === undefined) {
    throw new Failure("there is no live release to stop", { fix: "see `supervisor status`" });
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
  if (now) { for (const draining of drainings) draining.cut(); }
  await retired;
}
