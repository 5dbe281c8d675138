/** docs/metrics.md lists the metrics of the daemon, with their kinds and labels. */

import { assertEquals } from "@std/assert";
import { daemonMetrics } from "../../../lib/control/daemon_metrics.ts";
import { jobsMetrics } from "../../../lib/control/jobs_metrics.ts";
import { countEvents } from "../../../lib/telemetry/event_counter.ts";
import type { Metrics, MetricSpec } from "../../../lib/telemetry/metrics.ts";
import { noMetrics } from "../../../lib/telemetry/metrics.ts";
import { Prometheus } from "../../../lib/telemetry/prometheus.ts";
import { STATUS } from "../control/kit.ts";
import { PAGES } from "./pages.ts";

/** What is made of metrics: `name kind labels`. */
async function made(): Promise<string[]> {
  const all: string[] = [];
  const updates: (() => void | Promise<void>)[] = [];
  const note = (kind: string) => (spec: MetricSpec) =>
    all.push(`${spec.name} ${kind} ${(spec.labels ?? []).join(",")}`);
  const metrics: Metrics = {
    counter: (spec) => (note("counter")(spec), noMetrics.counter(spec)),
    gauge: (spec) => (note("gauge")(spec), noMetrics.gauge(spec)),
    histogram: (spec) => noMetrics.histogram(spec),
    beforeScrape: (update) => (updates.push(update), () => {}),
  };
  const pool = { plugin: "http", pool: "http", release_id: "v1", replaced: {}, queue_wait_ms: {} };
  daemonMetrics(metrics, {
    status: () => STATUS,
    workers: () => ({ pools: [pool as never], workers: [] }),
  });
  countEvents(() => {}, metrics);
  jobsMetrics(metrics, () => Promise.resolve([]));
  for (const update of updates) await update();
  return all;
}

Deno.test("the tables of docs/metrics.md are those of the code", async () => {
  const page = PAGES.find(({ name }) => name === "docs/metrics.md")!;
  const rows = page.text.split("\n").filter((line) => /^\| `(?:rr|supervisor)_/.test(line)).map(
    (line) => {
      const [name, kind, labels] = line.split("|").slice(1).map((cell) => cell.trim());
      const isOurs = name.startsWith("`supervisor");
      return `${name} ${kind} ${isOurs ? labels.replaceAll(" ", "") : ""}`.replaceAll("`", "");
    },
  );
  const { text } = await new Prometheus().expose();
  const own = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) =>
    `${name} ${kind} `
  );
  assertEquals(rows.sort(), [...await made(), ...own].sort());
});
