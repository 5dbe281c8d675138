/** What a scrape tells of pipelines. */

import { assert, assertStringIncludes } from "@std/assert";
import type { PipelineStatus } from "../../../lib/control/jobs.ts";
import { jobsMetrics } from "../../../lib/control/jobs_metrics.ts";
import { Prometheus } from "../../../lib/telemetry/prometheus.ts";
import { MAIL } from "./kit.ts";

const COUNTS = {
  pushed: 10,
  refused: 1,
  delivered: 9,
  done: 5,
  failed: 3,
  requeued: 2,
  dead: 1,
  dropped: 4,
};

Deno.test("pipelines at the scrape: numbers now, counts that only go up, RoadRunner's sums", async () => {
  const prometheus = new Prometheus();
  let pipelines: PipelineStatus[] = [
    { ...MAIL, waiting: 7, delayed: 2, reserved: 3, dead: 1, running: 1, counts: COUNTS },
    {
      ...MAIL,
      pipeline: "far",
      driver: "redis",
      ready: false,
      consuming: false,
      error: "refused",
      waiting: null,
      delayed: null,
      reserved: null,
      dead: null,
    },
  ];
  jobsMetrics(prometheus, () => Promise.resolve(pipelines));
  const { text } = await prometheus.expose();
  const mail = 'pipeline="mail",driver="memory"';
  const far = 'pipeline="far",driver="redis"';
  for (
    const line of [
      `supervisor_jobs_waiting{${mail}} 7`,
      `supervisor_jobs_delayed{${mail}} 2`,
      `supervisor_jobs_reserved{${mail}} 3`,
      `supervisor_jobs_dead{${mail}} 1`,
      `supervisor_jobs_running{${mail}} 1`,
      `supervisor_jobs_pipeline_up{${mail}} 1`,
      `supervisor_jobs_pipeline_up{${far}} 0`,
      `supervisor_jobs_pipeline_consuming{${far}} 0`,
      `supervisor_jobs_pushed_total{${mail}} 10`,
      `supervisor_jobs_died_total{${mail}} 1`,
      `supervisor_jobs_dropped_total{${mail}} 4`,
      "rr_jobs_push_ok 10",
      "rr_jobs_push_err 1",
      "rr_jobs_jobs_ok 5",
      "rr_jobs_jobs_err 3",
      "rr_jobs_jobs_requeue 2",
    ]
  ) assertStringIncludes(text, `${line}\n`);
  assert(!text.includes(`supervisor_jobs_waiting{${far}}`), "what is not known is not shown");

  // Destroyed, and declared again: it counts from nothing.
  pipelines = [{ ...MAIL, counts: { ...COUNTS, pushed: 4 } }];
  const second = (await prometheus.expose()).text;
  assertStringIncludes(second, `supervisor_jobs_pushed_total{${mail}} 14\n`);
  assertStringIncludes(second, "rr_jobs_push_ok 14\n");
  assert(!second.includes(`supervisor_jobs_pipeline_up{${far}}`));
});
