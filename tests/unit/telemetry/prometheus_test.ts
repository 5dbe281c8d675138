/** Metrics of ours and of the application as Prometheus text. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import type { AppMetrics } from "../../../lib/telemetry/app_metrics.ts";
import type { Collector } from "../../../lib/telemetry/collector.ts";
import { countEvents } from "../../../lib/telemetry/event_counter.ts";
import { noMetrics } from "../../../lib/telemetry/metrics.ts";
import { Prometheus } from "../../../lib/telemetry/prometheus.ts";

/** The values of a metric: its lines without comments. */
async function lines(metrics: Prometheus, name: string): Promise<string[]> {
  const { text } = await metrics.expose();
  return text.split("\n").filter((line) => line.startsWith(name));
}

async function loaded(): Promise<Prometheus> {
  const metrics = new Prometheus();
  await metrics.load();
  return metrics;
}

async function appOf(): Promise<{ app: AppMetrics; metrics: Prometheus }> {
  const metrics = await loaded();
  return { app: metrics.app!, metrics };
}

function collector(type: Collector["type"], more: Partial<Collector> = {}): Collector {
  return {
    type,
    help: "h",
    namespace: "",
    subsystem: "",
    labels: [],
    buckets: [],
    objectives: {},
    ...more,
  };
}

Deno.test("counters, gauges and histograms with labels by position", async () => {
  const metrics = await loaded();
  const counter = metrics.counter({ name: "c_total", help: "C", labels: ["a", "b"] });
  counter.add(2, "x", 'y"\n');
  metrics.gauge({ name: "g", help: "G" }).set(-1.5);
  metrics.histogram({ name: "h", help: "H", labels: ["s"], buckets: [1, 2] }).observe(1.5, "ok");
  assertEquals(await lines(metrics, "c_total"), ['c_total{a="x",b="y\\"\\n"} 2']);
  assertEquals(await lines(metrics, "g "), ["g -1.5"]);
  assertEquals(await lines(metrics, "h_bucket"), [
    'h_bucket{le="1",s="ok"} 0',
    'h_bucket{le="2",s="ok"} 1',
    'h_bucket{le="+Inf",s="ok"} 1',
  ]);
  const { type, text } = await metrics.expose();
  assertStringIncludes(type, "text/plain; version=0.0.4");
  assertStringIncludes(text, "# HELP c_total C\n# TYPE c_total counter\n");
});

Deno.test("what was made before loading counts after it", async () => {
  const metrics = new Prometheus();
  const counter = metrics.counter({ name: "early_total", help: "E" });
  counter.add(1);
  assertEquals(metrics.app, undefined);
  await metrics.load();
  counter.add(5);
  assertEquals(await lines(metrics, "early_total"), ["early_total 5"]);
});

Deno.test("a name is shared when kind and labels agree, and a mistake of ours when not", async () => {
  const metrics = await loaded();
  metrics.counter({ name: "n_total", help: "N" }).add(1);
  metrics.counter({ name: "n_total", help: "N" }).add(1);
  assertEquals(await lines(metrics, "n_total"), ["n_total 2"]);
  assertThrows(() => metrics.gauge({ name: "n_total", help: "N" }), TypeError, "n_total");
  assertThrows(() => metrics.counter({ name: "n_total", help: "N", labels: ["a"] }), TypeError);
});

Deno.test("values that cannot be counted are passed over", async () => {
  const metrics = await loaded();
  const counter = metrics.counter({ name: "n_total", help: "N" });
  for (const value of [-1, NaN, Infinity, 3]) counter.add(value);
  assertEquals(await lines(metrics, "n_total"), ["n_total 3"]);
});

Deno.test("the number of series is bounded, and what is dropped is counted", async () => {
  const metrics = await loaded();
  const counter = metrics.counter({ name: "n_total", help: "N", labels: ["id"] });
  for (let i = 0; i < 1010; i++) counter.add(1, String(i));
  counter.add(1, "5");
  assertEquals((await lines(metrics, "n_total")).length, 1000);
  assertEquals((await lines(metrics, 'n_total{id="5"}'))[0], 'n_total{id="5"} 2');
  assertEquals(await lines(metrics, "supervisor_metrics_dropped_total"), [
    "supervisor_metrics_dropped_total 10",
  ]);
});

Deno.test("gauges are set anew before each exposition, and what was cleared is gone", async () => {
  const metrics = await loaded();
  const gauge = metrics.gauge({ name: "g", help: "G", labels: ["id"] });
  let id = 0;
  const stop = metrics.beforeScrape(() => {
    gauge.clear();
    gauge.set(1, String(++id));
  });
  assertEquals(await lines(metrics, "g{"), ['g{id="1"} 1']);
  assertEquals(await lines(metrics, "g{"), ['g{id="2"} 1']);
  stop();
  assertEquals(await lines(metrics, "g{"), ['g{id="2"} 1']);
});

Deno.test("events are counted by name and passed on", async () => {
  const metrics = await loaded();
  const seen: string[] = [];
  const emit = countEvents((event) => seen.push(event), metrics);
  emit("daemon_ready", { started_in_ms: 1 });
  emit("daemon_ready", { started_in_ms: 2 });
  assertEquals(seen, ["daemon_ready", "daemon_ready"]);
  assertEquals(await lines(metrics, "supervisor_events_total"), [
    'supervisor_events_total{event="daemon_ready"} 2',
  ]);
  countEvents((event) => seen.push(event), noMetrics)("daemon_ready", { started_in_ms: 3 });
  assertEquals(seen.length, 3);
});

Deno.test("app: every kind is filled as RoadRunner's clients do, and shown by its whole name", async () => {
  const { app, metrics } = await appOf();
  const more = { namespace: "shop", subsystem: "cart", labels: ["type"] };
  assert(app.declare("n", collector("counter", more)));
  app.add("n", 2, ["a"]);
  app.add("n", 0.5, ["a"]);
  app.declare("level", collector("gauge"));
  app.set("level", 10, []);
  app.add("level", 5, []);
  app.sub("level", 1, []);
  app.declare("took", collector("histogram", { buckets: [1] }));
  app.observe("took", 0.5, []);
  app.declare("size", collector("summary", { objectives: { "0.5": 0.05 } }));
  app.observe("size", 7, []);
  assertEquals(await lines(metrics, "shop_cart_n"), ['shop_cart_n{type="a"} 2.5']);
  assertEquals(await lines(metrics, "level"), ["level 14"]);
  assertEquals(await lines(metrics, "took"), [
    'took_bucket{le="1"} 1',
    'took_bucket{le="+Inf"} 1',
    "took_sum 0.5",
    "took_count 1",
  ]);
  assertEquals(await lines(metrics, "size"), [
    'size{quantile="0.5"} 7',
    "size_sum 7",
    "size_count 1",
  ]);
});

Deno.test("app: a name that is taken changes nothing; one that is unregistered is free again", async () => {
  const { app, metrics } = await appOf();
  assert(app.declare("n", collector("counter")));
  app.add("n", 1, []);
  assertEquals(app.declare("n", collector("gauge")), false);
  assertEquals(await lines(metrics, "n "), ["n 1"]);
  app.unregister("n");
  assertEquals(await lines(metrics, "n "), []);
  assert(app.declare("n", collector("gauge")));
  app.set("n", -1, []);
  assertEquals(await lines(metrics, "n "), ["n -1"]);
});

Deno.test("app: what does not fit is said and changes nothing", async () => {
  const { app, metrics } = await appOf();
  app.declare("n", collector("counter", { labels: ["a", "b"] }));
  app.declare("h", collector("histogram"));
  const failure = (attempt: () => void) => assertThrows(attempt, Failure).message;
  assertEquals(failure(() => app.add("x", 1, [])), "undefined collector: x");
  assertEquals(failure(() => app.unregister("x")), "undefined collector: x");
  assertStringIncludes(failure(() => app.add("n", 1, ["only"])), "its labels are: a, b");
  assertStringIncludes(failure(() => app.add("n", -1, ["x", "y"])), "only goes up");
  assertStringIncludes(
    failure(() => app.sub("n", 1, ["x", "y"])),
    "is a counter; sub is for a gauge",
  );
  assertStringIncludes(failure(() => app.set("h", 1, [])), "is a histogram");
  assertStringIncludes(failure(() => app.observe("h", NaN, [])), "NaN is no number");
  assertStringIncludes(failure(() => app.declare("a b", collector("gauge"))), "a b");
  assertStringIncludes(
    failure(() => app.declare("b", collector("gauge", { labels: ["9"] }))),
    "label name",
  );
  const le = collector("histogram", { labels: ["le"] });
  assertStringIncludes(failure(() => app.declare("b", le)), "le");
  const ours = collector("gauge", { namespace: "supervisor" });
  assertStringIncludes(failure(() => app.declare("leases", ours)), "supervisor_leases");
  app.declare("b_c", collector("gauge"));
  const twin = collector("gauge", { namespace: "b" });
  assertStringIncludes(failure(() => app.declare("c", twin)), "b_c is the name of another one");
  assertEquals(await lines(metrics, "n{"), []);
  assert(app.declare("b", collector("gauge")), "what was refused left nothing behind");
});

Deno.test("app: collectors and series are bounded", async () => {
  const { app } = await appOf();
  app.declare("n", collector("gauge", { labels: ["id"] }));
  for (let i = 0; i < 10_000; i++) app.set("n", i, [String(i)]);
  assertThrows(() => app.set("n", 1, ["new"]), Failure, "10000 combinations");
  app.set("n", 1, ["77"]);
  for (let i = 0; i < 999; i++) app.declare(`n${i}`, collector("gauge"));
  assertThrows(() => app.declare("last", collector("gauge")), Failure, "1000 already");
});

Deno.test("app: a reload keeps values of what is written as before", async () => {
  const { app, metrics } = await appOf();
  const kept = collector("counter");
  assertEquals(app.configure({ kept, changed: collector("gauge"), gone: collector("gauge") }), []);
  app.declare("mine", collector("gauge"));
  for (const name of ["changed", "gone", "mine"]) app.set(name, 1, []);
  app.add("kept", 3, []);
  app.configure({ kept, changed: collector("gauge", { help: "new" }), mine: collector("gauge") });
  assertEquals(await lines(metrics, "kept"), ["kept 3"]);
  assertEquals(await lines(metrics, "changed"), ["changed 0"]);
  assertEquals(await lines(metrics, "gone"), []);
  assertEquals(await lines(metrics, "mine"), ["mine 1"]);
  const failures = app.configure({ "no name": collector("gauge"), fine: collector("gauge") });
  assertEquals(failures.length, 1);
  assert(app.declare("kept", kept) && !app.declare("fine", kept));
});
