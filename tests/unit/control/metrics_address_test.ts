/** The metrics address, over real sockets: what a scrape shows, and what comes and goes with it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { daemonMetrics } from "../../../lib/control/daemon_metrics.ts";
import { MetricsAddress } from "../../../lib/control/metrics_address.ts";
import type { Workers } from "../../../lib/control/operations.ts";
import type { PoolSnapshot, WorkerSnapshot } from "../../../lib/pool/types.ts";
import { Prometheus } from "../../../lib/telemetry/prometheus.ts";
import { STATUS } from "./kit.ts";
import { configOf, outside } from "./side_kit.ts";

function pool(more: Partial<PoolSnapshot>): PoolSnapshot {
  return {
    plugin: "http",
    pool: "http",
    release_id: "v1",
    state: "ready",
    target: 2,
    idle: 1,
    busy: 1,
    starting: 0,
    stopping: 0,
    queue: 3,
    requests: 10,
    errors: 1,
    no_free_workers: 2,
    replaced: { max_jobs: 4 },
    queue_wait_ms: { last: 1, p95: 250 },
    ...more,
  };
}

function worker(pid: number, state: WorkerSnapshot["state"]): WorkerSnapshot {
  return {
    id: `http#${pid}`,
    plugin: "http",
    pool: "http",
    release_id: "v1",
    pid,
    state,
    status: 1,
    jobs: 1,
    created_at: "2030-01-01T00:00:00.000Z",
    age_ms: 1,
    memory_bytes: 1000,
    cpu_percent: 0,
    doing: null,
    since_ms: null,
    command: "php worker.php",
  };
}

Deno.test("/metrics: RoadRunner's names and ours, read at the scrape, without pids", async () => {
  const prometheus = new Prometheus();
  const workers: Workers = {
    pools: [pool({})],
    workers: [worker(1, "ready"), worker(2, "working"), worker(3, "ttlReached")],
  };
  daemonMetrics(prometheus, { status: () => STATUS, workers: () => workers });
  const told = outside();
  const address = new MetricsAddress(prometheus, told);
  const config = await configOf("metrics: { address: 127.0.0.1:0 }");
  await address.start(config);
  const scrape = async () => {
    const response = await fetch(`http://${address.printed}/metrics`);
    assertStringIncludes(response.headers.get("content-type")!, "text/plain; version=0.0.4");
    const text = await response.text();
    return new Map(
      text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  };
  const first = await scrape();
  const expected = {
    rr_http_total_workers: 3,
    rr_http_workers_memory_bytes: 3000,
    rr_http_workers_ready: 1,
    rr_http_workers_working: 1,
    rr_http_workers_invalid: 1,
    rr_http_requests_queue: 3,
    rr_http_uptime_seconds: 61,
    rr_http_no_free_workers_total: 2,
    'supervisor_info{version="0.1.0"}': 1,
    'supervisor_state{state="running"}': 1,
    'supervisor_pool_workers{pool="http",state="busy"}': 1,
    'supervisor_pool_queue_wait_p95_seconds{pool="http"}': 0.25,
    'supervisor_pool_requests_total{pool="http"}': 10,
    'supervisor_pool_replaced_total{pool="http",reason="max_jobs"}': 4,
    supervisor_uptime_seconds: 61,
    supervisor_resident_memory_bytes: 50_000_000,
  };
  for (const [name, value] of Object.entries(expected)) assertEquals(first.get(name), value, name);
  assert([...first.keys()].every((name) => !name.includes("pid=")), "no pid labels");

  // A deploy: a second generation beside the first, counting from nothing.
  workers.pools = [
    pool({ requests: 12 }),
    pool({ release_id: "v2", requests: 5, idle: 2, busy: 0 }),
  ];
  const second = await scrape();
  assertEquals(second.get('supervisor_pool_requests_total{pool="http"}'), 17);
  assertEquals(second.get('supervisor_pool_workers{pool="http",state="idle"}'), 3);
  workers.pools = [];
  workers.workers = [];
  const third = await scrape();
  assertEquals(third.get("rr_http_total_workers"), 0);
  assertEquals(third.get('supervisor_pool_workers{pool="http",state="idle"}'), undefined);
  assertEquals(third.get('supervisor_pool_requests_total{pool="http"}'), 17);
  address.cut();
});

Deno.test("/metrics: releases, processes and intakes as status has them", async () => {
  const prometheus = new Prometheus();
  const process = (id: string, more = {}) => ({
    id,
    process_id: id.split("#")[0],
    state: "running" as const,
    healthy: true,
    command: "x",
    cwd: "/",
    pid: 5,
    restarts: 2,
    memory_restarts: 0,
    rss_bytes: 100,
    children: [],
    exit: null,
    logs: [],
    ...more,
  });
  const release = (release_id: string, state: "active" | "draining", processes: unknown[]) =>
    ({ release_id, state, processes, pools: [] }) as unknown as typeof STATUS.releases[number];
  const status = {
    ...STATUS,
    releases: [
      release("v2", "active", [process("web#0"), process("web#1", { healthy: false })]),
      release("v1", "draining", [process("web#0", { pid: undefined, healthy: false })]),
    ],
    services: [{ id: "beacon", process: process("beacon") }],
    intakes: [{ name: "http", address: "x", state: "open" as const, connections: 4, requests: 9 }],
    leases: 7,
    counters: { strays: 1 },
  };
  const none: Workers = { pools: [], workers: [] };
  const stop = daemonMetrics(prometheus, { status: () => status, workers: () => none });
  const { text } = await prometheus.expose();
  for (
    const line of [
      'supervisor_release{release="v2",state="active"} 1',
      'supervisor_release{release="v1",state="draining"} 1',
      'supervisor_process_up{process="web"} 2',
      'supervisor_process_healthy{process="web"} 1',
      'supervisor_process_memory_bytes{process="web"} 300',
      'supervisor_process_restarts{process="beacon"} 2',
      'supervisor_connections{intake="http"} 4',
      'supervisor_requests_total{intake="http"} 9',
      "supervisor_leases 7",
      'supervisor_count{of="strays"} 1',
    ]
  ) assertStringIncludes(text, `${line}\n`);
  status.releases = [];
  assert(!(await prometheus.expose()).text.includes('process="web"'));
  stop();
});

Deno.test("/metrics: collectors of the file come, keep their values and go with it", async () => {
  const prometheus = new Prometheus();
  const told = outside();
  const address = new MetricsAddress(prometheus, told);
  const early = prometheus.counter({ name: "early_total", help: "e" });
  await address.start(await configOf(""));
  assertEquals([address.printed, prometheus.app], ["", undefined], "nothing is loaded for nobody");
  early.add(1);
  const collect = "orders: { type: counter, namespace: shop }";
  const first = await configOf(`metrics: { address: 127.0.0.1:0, collect: { ${collect} } }`);
  (await address.rebind(first))!.commit();
  address.configure(first);
  early.add(1);
  prometheus.app!.add("orders", 2, []);
  prometheus.app!.declare("stock", {
    type: "gauge",
    help: "",
    namespace: "shop",
    subsystem: "",
    labels: [],
    buckets: [],
    objectives: {},
  });
  const second = await configOf(
    `metrics: { address: 127.0.0.1:0, collect: { ${collect}, shop_stock: { type: gauge } } }`,
  );
  assertEquals(await address.rebind(second), undefined);
  address.configure(second);
  const response = await fetch(`http://${address.printed}/metrics`, {
    headers: { connection: "close" },
  });
  const shown = (await response.text()).split("\n").filter((line) => /^(?:shop|early)/.test(line));
  assertEquals(shown, ["early_total 1", "shop_orders 2", "shop_stock 0"]);
  assert(told.events.includes("config_warning"), "shop_stock is the name of another one");
  const none = await configOf("");
  (await address.rebind(none))!.commit();
  address.configure(none);
  assertEquals(address.printed, "");
  const left = (await prometheus.expose()).text;
  assert(!left.includes("shop_orders"), "what was written is gone");
  assert(left.includes("shop_stock") && left.includes("early_total"), "the rest is not");
  await address.drain();
});
