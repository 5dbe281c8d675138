/**
 * A job as somebody wants it, made the job that is stored.
 *
 * Invariant: what the pipeline sets is filled in; a key that nobody would keep is refused, unless its
 * sender can do without (a schedule).
 */

import { Failure } from "../../lib/core/failure.ts";
import type { Job } from "./driver.ts";
import type { NewJob } from "./engine.ts";
import type { Pipeline } from "./pipeline.ts";

/** @throws Failure */
export function complete(job: NewJob, pipeline: Pipeline): Job {
  const { id, priority, delay = 0, auto_ack = false, payload, headers = {} } = job;
  const { settings } = pipeline;
  const { pool } = settings;
  return {
    id: id || crypto.randomUUID(),
    name: job.name,
    payload,
    headers: pool === undefined ? headers : { ...headers, pool: [pool] },
    priority: priority || settings.priority,
    delay: Math.max(0, delay),
    auto_ack,
    ...keyOf(job, pipeline),
  };
}

/** @throws Failure for a key that nobody would keep */
function keyOf(
  { unique, unique_window, headers }: NewJob,
  { settings, driver, name }: Pipeline,
): Pick<Job, "unique" | "unique_window"> {
  if (unique_window !== undefined) return driver.can.unique ? { unique, unique_window } : {};
  if (settings.unique !== undefined) return { unique: unique ?? headers?.unique?.[0] };
  if (unique === undefined) return {};
  throw new Failure(`pipeline ${name} keeps no keys of unique jobs`, {
    fix: `write jobs.pipelines.${name}.unique`,
  });
}
