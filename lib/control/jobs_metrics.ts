/**
 * What a scrape tells of the pipelines of jobs: RoadRunner's names, and ours by pipeline.
 *
 * Invariant: drivers are asked at the moment of the scrape and no longer than the engine waits for one;
 * a number that a driver does not tell is not shown; without pipelines nothing is.
 */

import type { Metrics } from "../telemetry/metrics.ts";
import { Increments } from "./increments.ts";
import type { PipelineStatus } from "./jobs.ts";

const LABELS = ["pipeline", "driver"];

/** What each of ours counts. */
const COUNTS: readonly [of: keyof PipelineStatus["counts"], name: string, help: string][] = [
  ["pushed", "pushed_total", "Jobs stored"],
  ["refused", "refused_total", "Jobs that could not be stored"],
  ["delivered", "delivered_total", "Deliveries to workers"],
  ["done", "done_total", "Jobs that workers did"],
  ["failed", "failed_total", "Deliveries that failed"],
  ["requeued", "requeued_total", "Jobs that workers asked for again"],
  ["dead", "died_total", "Jobs that became dead letters"],
  ["dropped", "dropped_total", "Jobs that were given up without a dead letter"],
];

/** RoadRunner's sums over all pipelines. */
const SUMS: readonly [name: string, of: keyof PipelineStatus["counts"], help: string][] = [
  ["rr_jobs_push_ok", "pushed", "Jobs stored"],
  ["rr_jobs_push_err", "refused", "Jobs that could not be stored"],
  ["rr_jobs_jobs_ok", "done", "Jobs that workers did"],
  ["rr_jobs_jobs_err", "failed", "Deliveries that failed"],
  ["rr_jobs_jobs_requeue", "requeued", "Jobs that workers asked for again"],
];

/** @param pipelines those there are now, with the numbers of their drivers */
export function jobsMetrics(
  metrics: Metrics,
  pipelines: () => Promise<PipelineStatus[]>,
): () => void {
  const gauge = (name: string, help: string) =>
    metrics.gauge({ name: `supervisor_jobs_${name}`, help, labels: LABELS });
  const numbers = [
    ["waiting", gauge("waiting", "Jobs that are due and not running")],
    ["delayed", gauge("delayed", "Jobs that are not due yet")],
    ["reserved", gauge("reserved", "Jobs taken out of the driver and not ended")],
    ["dead", gauge("dead", "Dead letters that are kept")],
    ["running", gauge("running", "Jobs at workers, or next in line for one")],
  ] as const;
  const up = gauge("pipeline_up", "1 when the driver can be reached, else 0");
  const consuming = gauge("pipeline_consuming", "1 when jobs are given to workers, else 0");
  const counts = COUNTS.map(([of, name, help]) => {
    const counter = metrics.counter({ name: `supervisor_jobs_${name}`, help, labels: LABELS });
    return { of, increments: new Increments(counter) };
  });
  const sums = SUMS.map(([name, of, help]) => ({
    of,
    increments: new Increments(metrics.counter({ name, help })),
  }));
  return metrics.beforeScrape(async () => {
    const all = await pipelines();
    for (const one of [up, consuming, ...numbers.map(([, one]) => one)]) one.clear();
    for (const one of all) {
      const labels = [one.pipeline, one.driver];
      for (const [of, gauge] of numbers) {
        const value = one[of];
        if (value !== null) gauge.set(value, ...labels);
      }
      up.set(one.ready ? 1 : 0, ...labels);
      consuming.set(one.consuming ? 1 : 0, ...labels);
      for (const { of, increments } of counts) increments.reached(one.counts[of], ...labels);
      for (const { of, increments } of sums) increments.reachedBy(one.pipeline, one.counts[of]);
    }
  });
}
