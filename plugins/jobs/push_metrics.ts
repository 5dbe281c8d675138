/**
 * What RoadRunner counts of pushes by clients: how many, and how long they take.
 *
 * Invariant: only pipelines that exist have a series, so that no client makes one by naming it.
 */

import type { Clock } from "../../lib/core/clock.ts";
import type { Metrics } from "../../lib/telemetry/metrics.ts";
import type { JobsEngine } from "./engine.ts";

/** How a push came in: alone, or as part of a batch. */
export type PushSource = "single" | "batch";

/** Measures a push of so many jobs. */
export type Measure = (
  pipeline: string,
  jobs: number,
  source: PushSource,
  push: () => Promise<unknown>,
) => Promise<void>;

const LABELS = ["job", "driver", "source"];

/** See the file's comment. */
export function pushMetrics(
  metrics: Metrics,
  clock: Clock,
  engine: Pick<JobsEngine, "driverOf">,
): Measure {
  const requests = metrics.counter({
    name: "rr_jobs_requests_total",
    help: "Jobs that clients pushed, also those that could not be stored",
    labels: LABELS,
  });
  const latency = metrics.histogram({
    name: "rr_jobs_push_latency",
    help: "Seconds until jobs that a client pushed were stored, or could not be",
    labels: LABELS,
  });
  return async (pipeline, jobs, source, push) => {
    const began = clock.now();
    const driver = engine.driverOf(pipeline);
    try {
      await push();
    } finally {
      if (driver !== undefined) {
        requests.add(jobs, pipeline, driver, source);
        latency.observe((clock.now() - began) / 1000, pipeline, driver, source);
      }
    }
  };
}
