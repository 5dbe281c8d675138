/** The status and metrics addresses, over real sockets: what they answer, and their life. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { Config } from "../../../lib/config/config.ts";
import { daemonMetrics } from "../../../lib/control/daemon_metrics.ts";
import { MetricsAddress } from "../../../lib/control/metrics_address.ts";
import type { Workers } from "../../../lib/control/operations.ts";
import type { Health } from "../../../lib/control/rpc/host.ts";
import type { SideAddress } from "../../../lib/control/side_address.ts";
import { statusAddress, type StatusHost } from "../../../lib/control/status_address.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { AddressHost } from "../../../lib/http/mod.ts";
import { realClock } from "../../../lib/os/clock.ts";
import type { PoolSnapshot, WorkerSnapshot } from "../../../lib/pool/types.ts";
import { Prometheus } from "../../../lib/telemetry/prometheus.ts";
import { sections } from "../../../plugins/registry.ts";
import { RawPeer } from "../../kit/raw_http.ts";
import { readFiles } from "../config/kit.ts";
import { STATUS } from "./kit.ts";

/** What an address is given, and what it told. */
function outside(): AddressHost & { events: string[] } {
  const events: string[] = [];
  return {
    system: { clock: realClock, listeners: () => [], row: () => undefined },
    emit: (event) => events.push(event),
    events,
  };
}

async function configOf(text: string): Promise<Config> {
  const { config, problems } = await readFiles(
    `processes: { a: { command: x } }\n${text}`,
    {},
    sections(),
  );
  assert(config !== undefined, problems.map(({ message }) => message).join("; "));
  return config;
}

/** A status address on a free port, and the daemon behind it. */
class Scene {
  state: StatusHost["state"] = "running";
  readonly answers: Record<string, Record<"alive" | "ready", Health>> = {};
  readonly outside = outside();

  private constructor(public config: Config) {}

  static async open(more = ""): Promise<Scene & Disposable> {
    const scene = new Scene(await configOf(`status: { address: 127.0.0.1:0${more} }`));
    scene.address.start(scene.config);
    return Object.assign(scene, { [Symbol.dispose]: () => scene.address.cut() });
  }

  readonly host: StatusHost = ((scene) => ({
    get state() {
      return scene.state;
    },
    plugins: () => Object.keys(scene.answers),
    health: (plugin, question) => scene.answers[plugin]?.[question],
  }))(this as Scene);

  readonly address: SideAddress = statusAddress(this.host, () => this.config, this.outside);

  set(plugin: string, alive: string, ready: string): void {
    const health = (message: string): Health => ({ code: message === "" ? 200 : 503, message });
    this.answers[plugin] = { alive: health(alive), ready: health(ready) };
  }

  async get(path: string): Promise<[number, unknown]> {
    // A connection that stayed would be waited for when the address closes.
    const headers = { connection: "close" };
    const response = await fetch(`http://${this.address.printed}${path}`, { headers });
    return [response.status, await response.json()];
  }
}

const ok = (plugin_name: string) => ({ plugin_name, error_message: "", status_code: 200 });
const bad = (plugin_name: string, error_message: string, status_code = 503) => ({
  plugin_name,
  error_message,
  status_code,
});

Deno.test("/health and /ready: a list as RoadRunner's, with the worst code of it", async () => {
  using scene = await Scene.open();
  scene.set("http", "", "all workers are busy");
  scene.set("jobs", "", "");
  assertEquals(await scene.get("/health"), [200, [ok("http"), ok("jobs")]]);
  assertEquals(await scene.get("/ready"), [503, [bad("http", "all workers are busy"), ok("jobs")]]);
});

Deno.test("?plugin= once, repeated and with commas; an unknown one is told", async () => {
  using scene = await Scene.open();
  for (const name of ["http", "jobs", "tcp"]) scene.set(name, "", "");
  assertEquals(await scene.get("/health?plugin=http"), [200, [ok("http")]]);
  assertEquals(await scene.get("/ready?plugin=jobs&plugin=http"), [200, [ok("jobs"), ok("http")]]);
  assertEquals(await scene.get("/ready?plugin=jobs,tcp,jobs"), [200, [ok("jobs"), ok("tcp")]]);
  assertEquals(await scene.get("/health?plugin=http,grpc"), [
    404,
    [ok("http"), bad("grpc", "there is no such plugin", 404)],
  ]);
});

Deno.test("while the daemon drains, everything says so; health stays 200", async () => {
  using scene = await Scene.open();
  scene.set("http", "no worker is alive", "no worker is alive");
  scene.state = "stopping";
  const draining = "draining: the daemon is shutting down";
  assertEquals(await scene.get("/health"), [200, [bad("http", draining, 200)]]);
  assertEquals(await scene.get("/ready"), [503, [bad("http", draining)]]);
  assertEquals(await scene.get("/livez"), [200, { status: "draining" }]);
  assertEquals(await scene.get("/readyz"), [503, { status: "draining" }]);
  assertEquals(await scene.get("/jobs"), [503, []]);
});

Deno.test("/livez and /readyz: the process, and whether all of it takes requests", async () => {
  using scene = await Scene.open();
  assertEquals(await scene.get("/readyz"), [200, { status: "ok" }]);
  scene.set("http", "", "all workers are busy");
  assertEquals(await scene.get("/livez"), [200, { status: "ok" }]);
  assertEquals(await scene.get("/readyz"), [
    503,
    { status: "unavailable", reasons: ["http: all workers are busy"] },
  ]);
  scene.state = "starting";
  assertEquals(await scene.get("/readyz"), [503, { status: "starting" }]);
  assertEquals((await scene.get("/ready"))[1], [bad("http", "the daemon is starting")]);
  assertEquals(await scene.get("/jobs"), [200, []]);
});

Deno.test("the code that means no is the configured one, also after a reload", async () => {
  using scene = await Scene.open(", unavailable_status_code: 500");
  scene.state = "stopping";
  assertEquals((await scene.get("/readyz"))[0], 500);
  scene.config = await configOf("status: { address: 127.0.0.1:0, unavailable_status_code: 429 }");
  assertEquals((await scene.get("/readyz"))[0], 429);
});

Deno.test("only GET and HEAD, only these paths; junk costs one answer", async () => {
  using scene = await Scene.open();
  const url = `http://${scene.address.printed}`;
  const ask = async (path: string, method: string) => {
    const response = await fetch(`${url}${path}`, { method });
    return [response.status, response.headers.get("allow"), await response.text()];
  };
  assertEquals(await ask("/livez", "POST"), [405, "GET, HEAD", "use GET\n"]);
  assertEquals(await ask("/nothing", "GET"), [
    404,
    null,
    "there are: /health, /ready, /jobs, /livez, /readyz\n",
  ]);
  const port = Number(scene.address.printed.split(":")[1]);
  for (const line of ["TRACE /livez HTTP/1.1", "GET http://[/ HTTP/1.1", "GET //[ HTTP/1.1"]) {
    using peer = await RawPeer.connect(port);
    await peer.request(line, "Host: x");
    const status = Number((await peer.until("\r\n")).split(" ")[1]);
    assert(status >= 400 && status < 500, `${line}: ${status}`);
  }
  assertEquals(scene.outside.events.filter((event) => event === "internal_error"), []);
  using peer = await RawPeer.connect(port);
  await peer.request("HEAD /livez HTTP/1.1", "Host: x", "Connection: close");
  const head = await peer.until("\r\n\r\n");
  assertStringIncludes(head.toLowerCase(), "content-length: 16");
});

Deno.test("a handler that throws is an event and a 500 without details", async () => {
  using scene = await Scene.open();
  Object.defineProperty(scene.answers, "http", {
    enumerable: true,
    get: () => {
      throw new Error("secret");
    },
  });
  const response = await fetch(`http://${scene.address.printed}/health`);
  assertEquals([response.status, await response.text()], [500, "internal error\n"]);
  assert(scene.outside.events.includes("internal_error"));
});

Deno.test("another address is bound before the old one closes; none closes it", async () => {
  using scene = await Scene.open();
  const first = scene.address.printed;
  assertEquals(scene.address.rebind(scene.config), undefined, "nothing changed");
  const next = await configOf("status: { address: '[::1]:0' }");
  const undone = scene.address.rebind(next)!;
  undone.undo();
  assertEquals((await scene.get("/livez"))[0], 200);
  const rebinding = scene.address.rebind(next)!;
  assertEquals(scene.address.printed, first, "not in use before commit");
  rebinding.commit();
  assertStringIncludes(scene.address.printed, "[::1]:");
  assertEquals((await scene.get("/livez"))[0], 200);
  scene.address.rebind(await configOf(""))!.commit();
  assertEquals(scene.address.printed, "");
  assertEquals(scene.address.rebind(await configOf("")), undefined);
  await scene.address.drain();
});

Deno.test("an address that is taken names it, the key, and what to do", async () => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const config = await configOf(`status: { address: "127.0.0.1:${other.addr.port}" }`);
  const address = statusAddress(
    { state: "running", plugins: () => [], health: () => undefined },
    () => config,
    outside(),
  );
  const failure = assertThrows(() => address.start(config), Failure);
  assertStringIncludes(failure.message, `127.0.0.1:${other.addr.port} (status.address)`);
  assertStringIncludes(failure.fix!, "status.address");
});

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
