/** What is counted of pushes by clients. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Prometheus } from "../../../../lib/telemetry/prometheus.ts";
import { pushMetrics } from "../../../../plugins/jobs/push_metrics.ts";
import { ManualClock } from "../../../kit/manual_clock.ts";

Deno.test("pushes are counted with their time, failed ones too; names that do not exist make no series", async () => {
  const clock = new ManualClock();
  const prometheus = new Prometheus();
  await prometheus.load();
  const engine = { driverOf: (name: string) => name === "mail" ? "memory" : undefined };
  const measure = pushMetrics(prometheus, clock, engine);
  await measure("mail", 1, "single", () => clock.advance(2000));
  await measure("mail", 7, "batch", () => Promise.resolve());
  const full = () => Promise.reject(new Error("full"));
  const error = await assertRejects(() => measure("mail", 3, "batch", full), Error);
  assertEquals(error.message, "full");
  await assertRejects(() => measure("nope", 1, "single", full));
  const { text } = await prometheus.expose();
  const mail = 'job="mail",driver="memory"';
  assertStringIncludes(text, `rr_jobs_requests_total{${mail},source="single"} 1\n`);
  assertStringIncludes(text, `rr_jobs_requests_total{${mail},source="batch"} 10\n`);
  assertStringIncludes(text, `rr_jobs_push_latency_sum{${mail},source="single"} 2\n`);
  assertStringIncludes(text, `rr_jobs_push_latency_count{${mail},source="batch"} 2\n`);
  assert(!text.includes("nope"));
});
