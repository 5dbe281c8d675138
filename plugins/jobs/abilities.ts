/**
 * What a pipeline asks of its driver that the driver cannot.
 *
 * Invariant: pure; what is not refused here, the driver's conformance suite has tested.
 */

import type { PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import { Exit, Failure } from "../../lib/core/failure.ts";
import type { Abilities, Job } from "./driver.ts";

/** What settings need to know. */
type Asking = Pick<PipelineConfig, "driver" | "unique" | "dead_letter" | "retry">;

/** Why a pipeline cannot have that driver; undefined: it can. */
export function unable(name: string, settings: Asking, can: Abilities): Failure | undefined {
  const { driver, unique, dead_letter, retry } = settings;
  const fail = (what: string, fix: string) =>
    new Failure(`pipeline ${name}: the driver ${driver} ${what}`, { exit: Exit.config, fix });
  if (unique !== undefined && !can.unique) return fail("knows no unique jobs", "remove unique");
  if (dead_letter === "keep" && !can.dead) {
    return fail("keeps no dead letters", "name a pipeline for them in dead_letter");
  }
  if (retry !== undefined && retry.backoff > 0 && !can.delay) {
    return fail("cannot delay a job, and retry has a backoff", "write retry.backoff: 0");
  }
}

/** Why jobs cannot be pushed to that driver; undefined: they can. */
export function unstorable(
  name: string,
  jobs: readonly Pick<Job, "delay">[],
  can: Abilities,
): Failure | undefined {
  if (can.delay || jobs.every(({ delay }) => delay === 0)) return undefined;
  return new Failure(`the driver of pipeline ${name} cannot delay a job`, {
    fix: "push it without a delay",
  });
}
