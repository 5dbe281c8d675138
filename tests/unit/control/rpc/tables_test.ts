/** Every method of the daemon's services, called by PHP straight on the protocol. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Failure } from "../../../../lib/core/failure.ts";
import { RR_VERSION } from "../../../../lib/release/render_worker.ts";
import { rpcTables } from "../../../../lib/control/rpc/mod.ts";
import { PAGES } from "../../docs/pages.ts";
import { callFromPhp, php, type PhpCall, type PhpReply } from "../../../kit/php_rpc.ts";
import { Scratch } from "../../../kit/scratch.ts";
import { Client, JSON_CODEC } from "../../goridge/rpc_kit.ts";
import { FakeHost, serveHost } from "./kit.ts";

/** What PHP gets for each call, and what the daemon was asked. */
async function made(calls: PhpCall[], host = new FakeHost()): Promise<[PhpReply[], string[]]> {
  await using server = await serveHost(host);
  return [await callFromPhp(server.address, calls), host.asked];
}

function hexOf(text: string): string {
  return new TextEncoder().encode(text).toHex();
}

/** A `string` field of a message, in hex; short ones only. */
function field(number: number, value: string): string {
  const length = new TextEncoder().encode(value).length;
  return new Uint8Array([number << 3 | 2, length]).toHex() + hexOf(value);
}

const OK = { hex: "1001" };

Deno.test("rpc: version and configuration", async () => {
  const host = new FakeHost();
  host.sections = { http: { address: "é", pool: { num_workers: 2 } } };
  const [[version, config]] = await made(
    [["rpc.Version", { json: true }], ["rpc.Config", { json: true }]],
    host,
  );
  assertEquals(version, { json: RR_VERSION });
  const bytes = Uint8Array.fromBase64(config.json as string);
  assertEquals(
    new TextDecoder().decode(bytes),
    '{"http":{"address":"é","pool":{"num_workers":2}}}',
  );
});

Deno.test("informer: plugins, workers, one more, one less", async () => {
  const [replies, asked] = await made([
    ["informer.List", { json: true }],
    ["informer.Workers", { json: "http" }],
    ["informer.Workers", { json: "nope" }],
    ["informer.Jobs", { json: "jobs" }],
    ["informer.AddWorker", { json: "http" }],
    ["informer.RemoveWorker", { json: "http" }],
    ["informer.AddWorker", { json: "nope" }],
    ["informer.RemoveWorker", { json: "nope" }],
    ["informer.Workers", { json: null }],
    ["informer.Workers", { json: ["http"] }],
  ]);
  const worker = {
    pid: 10,
    status: 1,
    numExecs: 3,
    // Read by a double here; the exact digits are in the next test.
    created: 1700000000001000000,
    memoryUsage: 12345678,
    CPUPercent: 0.5,
    command: "php worker.php",
    statusStr: "ready",
  };
  assertEquals(replies, [
    { json: ["http", "jobs"] },
    { json: { workers: [worker] } },
    { json: { workers: [] } },
    { json: [] },
    { json: false },
    { json: false },
    { error: "no such plugin: nope" },
    { error: "no such plugin: nope" },
    { error: "the argument must be the name of a plugin, a string" },
    { error: "the argument must be the name of a plugin, a string" },
  ]);
  assertEquals(asked, ["add http", "remove http"]);
});

Deno.test("informer: the JSON of a worker, digit by digit", async () => {
  await using server = await serveHost(new FakeHost());
  using client = await Client.to(server.address);
  assertEquals(
    (await client.call("informer.Workers", '"http"', JSON_CODEC)).text,
    '{"workers":[{"pid":10,"status":1,"numExecs":3,"created":1700000000001000000,' +
      '"memoryUsage":12345678,"CPUPercent":0.5,"command":"php worker.php","statusStr":"ready"}]}',
  );
});

Deno.test("resetter: what can be reset, a reset, a failed one", async () => {
  const [replies, asked] = await made([
    ["resetter.List", { json: true }],
    ["resetter.Reset", { json: "jobs" }],
    ["resetter.Reset", { json: "nope" }],
  ]);
  assertEquals(replies, [
    { json: ["http", "jobs"] },
    { json: true },
    { error: "no such plugin: nope" },
  ]);
  assertEquals(asked, ["reset jobs"]);
  const host = new FakeHost();
  host.failure = new Failure("http#3 did not start", { fix: "look at its output" });
  const [[failed]] = await made([["resetter.Reset", { json: "http" }]], host);
  assertEquals(failed, { error: "http#3 did not start; look at its output" });
});

Deno.test("status: alive and ready, in both codecs", async () => {
  const host = new FakeHost();
  host.states.jobs = { code: 503, message: "no worker is ready" };
  const [replies, asked] = await made([
    ["status.Status", { hex: field(1, "http") }],
    ["status.Ready", { hex: field(1, "jobs") }],
    ["status.Status", { json: { plugin: "http" } }],
    ["status.Ready", { hex: field(1, "nope") }],
    ["status.Ready", { hex: "" }],
    ["status.Ready", { hex: "0a05" }],
    ["status.Ready", { json: "http" }],
  ], host);
  const [, , , , , cut, wrong] = replies;
  assertEquals(replies.slice(0, 5), [
    { hex: "08c801" },
    { hex: `08f703${field(2, "no worker is ready")}` },
    { json: { code: 200, message: "" } },
    { error: "no such plugin: nope" },
    { error: "no such plugin: " },
  ]);
  assertStringIncludes(cut.error!, "the argument is no protobuf message");
  assertEquals(wrong, { error: "the argument must be an object" });
  assertEquals(asked.slice(0, 3), ["alive http", "ready jobs", "alive http"]);
});

Deno.test("service: make, restart, end", async () => {
  const all = [
    field(1, "queue"),
    field(2, "php queue.php"),
    "1802", // process_num 2
    "2005", // exec_timeout 5 s
    "2801", // remain_after_exit
    `320a${field(1, "APP")}${field(2, "dev")}`,
    "3807", // restart_sec 7
    "4001", // service_name_in_logs
    "4803", // timeout_stop_sec 3
    "c03e01", // of a later version
  ].join("");
  const [replies, asked] = await made([
    ["service.Create", { hex: all }],
    ["service.Create", { hex: field(1, "b") + field(2, "sleep 1") }],
    ["service.Create", { json: { name: "c", command: "sleep 1", restart_sec: 1, env: [] } }],
    ["service.Restart", { hex: field(1, "queue") }],
    ["service.Terminate", { hex: field(1, "queue") }],
  ]);
  const ok = { message: "", ok: true };
  assertEquals(replies, [OK, OK, { json: ok }, OK, OK]);
  assertEquals(asked, [
    'create queue {"command":"php queue.php","process_num":2,"exec_timeout":5000,' +
    '"remain_after_exit":true,"restart_sec":7000,"timeout_stop_sec":3000,"env":{"APP":"dev"},' +
    '"service_name_in_log":true}',
    'create b {"command":"sleep 1","process_num":1,"exec_timeout":0,"remain_after_exit":false,' +
    '"restart_sec":30000,"timeout_stop_sec":5000,"env":{},"service_name_in_log":false}',
    'create c {"command":"sleep 1","process_num":1,"exec_timeout":0,"remain_after_exit":false,' +
    '"restart_sec":1000,"timeout_stop_sec":5000,"env":{},"service_name_in_log":false}',
    "restart queue",
    "terminate queue",
  ]);
});

Deno.test("service: what cannot be is an error", async () => {
  const host = new FakeHost();
  host.failure = new Failure('there is a service "queue" already');
  const minus = "18ffffffffffffffffff01";
  const [replies, asked] = await made([
    ["service.Create", { hex: field(1, "queue") + field(2, "true") }],
    ["service.Create", { hex: field(2, "true") }],
    ["service.Create", { hex: field(1, "queue") }],
    ["service.Create", { hex: field(1, "queue") + field(2, "true") + minus }],
    ["service.Create", { hex: field(1, "queue") + field(2, "true") + "18e907" }],
    ["service.Create", { json: { name: "a", command: "b", restart_sec: 1.5 } }],
    ["service.Terminate", { hex: "" }],
    ["service.Statuses", { hex: field(1, "nope") }],
    ["service.Status", { hex: field(1, "nope") }],
  ], host);
  assertEquals(replies.map(({ error }) => error), [
    'there is a service "queue" already',
    '"name" must not be empty',
    '"command" must not be empty',
    '"process_num" cannot be -1: it is a whole number',
    '"process_num" cannot be 1001: at most 1000',
    '"restart_sec" cannot be 1.5: it is a whole number',
    '"name" must not be empty',
    "no such service: nope",
    "no such service: nope",
  ]);
  assertEquals(asked.length, 1);
});

Deno.test("service: list and statuses", async () => {
  const host = new FakeHost();
  host.processes = {
    queue: [
      { pid: 300, cpu_percent: 0.5, memory_bytes: 5_000_000_000, command: "php q" },
      { pid: 0, cpu_percent: 0, memory_bytes: 0, command: "", error: "ended" },
    ],
    none: [],
  };
  const first = `0d0000003f10ac0218${"80e497d012"}${field(4, "php q")}`;
  const second = `2a09${"0802"}${field(2, "ended")}`;
  const sized = (hex: string) => `0a${(hex.length / 2).toString(16).padStart(2, "0")}${hex}`;
  const [replies] = await made([
    ["service.List", { hex: "" }],
    ["service.List", { json: {} }],
    ["service.Statuses", { hex: field(1, "queue") }],
    ["service.Statuses", { hex: field(1, "none") }],
    ["service.Status", { hex: field(1, "queue") }],
    ["service.Status", { hex: field(1, "none") }],
    ["service.Statuses", { json: { name: "queue" } }],
  ], host);
  const status = { cpu_percent: 0.5, pid: 300, memory_usage: 5_000_000_000, command: "php q" };
  const error = { code: 2, message: "ended" };
  const ended = { cpu_percent: 0, pid: 0, memory_usage: 0, command: "", status: error };
  assertEquals(replies, [
    { hex: field(1, "queue") + field(1, "none") },
    { json: { services: ["queue", "none"] } },
    { hex: sized(first) + sized(second) },
    { hex: "" },
    { hex: first },
    { error: "the service has no process" },
    { json: { status: [{ ...status, status: null }, ended] } },
  ]);
});

Deno.test("service: without a section there are none", async () => {
  const host = new FakeHost();
  host.services = undefined;
  const queue = field(1, "queue");
  const [replies, asked] = await made([
    ["service.Create", { hex: queue + field(2, "true") }],
    ["service.Terminate", { hex: queue }],
    ["service.Restart", { hex: queue }],
    ["service.Statuses", { hex: queue }],
    ["service.List", { hex: "" }],
  ], host);
  const off = { error: 'services are off: there is no section "service" in the configuration' };
  assertEquals(replies, Array(5).fill(off));
  assertEquals(asked, []);
});

Deno.test("metrics: declare, fill, take back", async () => {
  const collector = {
    namespace: "shop",
    subsystem: "cart",
    type: "histogram",
    help: "h",
    labels: ["type"],
    buckets: [0.1, 5],
    objectives: { "0.5": 0.05 },
  };
  const [replies, asked] = await made([
    ["metrics.Declare", { json: { name: "orders", collector } }],
    ["metrics.Declare", { json: { name: "orders", collector: { type: "counter" } } }],
    [
      "metrics.Declare",
      { json: { name: "b", collector: { type: "gauge", labels: [], objectives: [] } } },
    ],
    ["metrics.Add", { json: { name: "orders", value: 2.5, labels: ["a"] } }],
    ["metrics.Sub", { json: { name: "orders", value: 1, labels: [] } }],
    ["metrics.Observe", { json: { name: "orders", value: 1 } }],
    ["metrics.Set", { json: { name: "orders", value: -1, labels: null } }],
    ["metrics.Set", { json: { name: "nope", value: 1, labels: [] } }],
    ["metrics.Unregister", { json: "orders" }],
    ["metrics.Unregister", { json: "nope" }],
  ]);
  const nope = { error: "undefined collector: nope" };
  const yes = { json: true };
  assertEquals(replies, [yes, yes, yes, yes, yes, yes, yes, nope, yes, nope]);
  const none = '"help":"","namespace":"","subsystem":"","labels":[],"buckets":[],"objectives":{}';
  assertEquals(asked, [
    'declare orders {"type":"histogram","help":"h","namespace":"shop","subsystem":"cart",' +
    '"labels":["type"],"buckets":[0.1,5],"objectives":{"0.5":0.05}}',
    `declare orders {"type":"counter",${none}}`,
    'log ["debug","the collector \\"orders\\" is declared already",{}]',
    `declare b {"type":"gauge",${none}}`,
    'add ["orders",2.5,["a"]]',
    'sub ["orders",1,[]]',
    'observe ["orders",1,[]]',
    'set ["orders",-1,[]]',
    'set ["nope",1,[]]',
    'unregister ["orders"]',
    'unregister ["nope"]',
  ]);
});

Deno.test("metrics: wrong arguments, and metrics that are off", async () => {
  const declared = (collector: unknown): PhpCall => [
    "metrics.Declare",
    { json: { name: "a", collector } },
  ];
  const [replies, asked] = await made([
    ["metrics.Add", { json: null }],
    ["metrics.Add", { json: { value: 1 } }],
    ["metrics.Add", { json: { name: "a", value: "1" } }],
    ["metrics.Add", { json: { name: "a", value: 1, labels: [1] } }],
    declared(null),
    declared({ type: "timer" }),
    declared({ type: "gauge", help: 1 }),
    declared({ type: "gauge", labels: "a" }),
    declared({ type: "histogram", buckets: ["1"] }),
    declared({ type: "summary", objectives: { "0.5": "x" } }),
    ["metrics.Declare", { json: { collector: { type: "gauge" } } }],
  ]);
  assertEquals(replies.map(({ error }) => error), [
    "the argument must be an object",
    '"name" must be a string',
    '"value" must be a number',
    '"labels" must be a list of strings',
    '"collector" must be an object',
    '"type" must be one of histogram, gauge, counter, summary',
    '"help" must be a string',
    '"labels" must be a list of strings',
    '"buckets" must be a list of numbers',
    '"objectives" must be an object of numbers',
    '"name" must be a string',
  ]);
  assertEquals(asked, []);
  const host = new FakeHost();
  host.metrics = undefined;
  const [[off]] = await made([["metrics.Add", { json: { name: "a", value: 1 } }]], host);
  const text = 'metrics are off: there is no section "metrics" in the configuration';
  assertEquals(off, { error: text });
});

Deno.test("app: lines of the application, with and without context", async () => {
  const levels = [["Error", "error"], ["Info", "info"], ["Warning", "warn"], ["Debug", "debug"]];
  const both = [...levels, ["Log", "plain"]];
  const attribute = field(1, "k") + field(2, "é");
  const entry = `${field(1, "hello")}12${(attribute.length / 2).toString(16).padStart(2, "0")}`;
  const [replies, asked] = await made([
    ...both.map(([method]): PhpCall => [`app.${method}`, { json: "line\n" }]),
    ...both.map(([method]): PhpCall => [`app.${method}WithContext`, { hex: entry + attribute }]),
    ["app.InfoWithContext", { json: { message: "m", log_attrs: [{ key: "a", value: "b" }] } }],
    ["app.Info", { json: { message: "m" } }],
  ]);
  assertEquals(replies, [
    ...Array(5).fill({ json: false }),
    ...Array(5).fill({ hex: "" }),
    { json: [] },
    { error: "the argument must be the line, a string" },
  ]);
  assertEquals(asked, [
    ...both.map(([, level]) => `log ["${level}","line\\n",{}]`),
    ...both.map(([, level]) => `log ["${level}","hello",{"k":"é"}]`),
    'log ["info","m",{"a":"b"}]',
  ]);
});

Deno.test("kv and lock say that they are not there", async () => {
  const [replies] = await made([
    ["lock.Lock", { hex: "0a0372657312086669786564" + "2d69641880ade204" }],
    ["lock.ForceRelease", { hex: "" }],
    ["kv.Has", { hex: field(1, "local") }],
    ["kv.MExpire", { hex: "" }],
    ["kv.Nope", { hex: "" }],
    ["jobs.Push", { hex: "" }],
  ]);
  const not = (name: string) =>
    `${name} is not supported: this server has no service "${name.split(".")[0]}"`;
  assertEquals(replies.map(({ error }) => error), [
    not("lock.Lock"),
    not("lock.ForceRelease"),
    not("kv.Has"),
    not("kv.MExpire"),
    "rpc: can't find method kv.Nope",
    "rpc: can't find service jobs.Push",
  ]);
});

Deno.test("a plugin's table comes besides, and wins", async () => {
  const own = { "tcp.Close": () => ({ json: true }), "informer.Jobs": () => ({ json: ["mail"] }) };
  await using server = await serveHost(new FakeHost(), undefined, [own]);
  const replies = await callFromPhp(server.address, [
    ["tcp.Close", { json: "id" }],
    ["informer.Jobs", { json: "jobs" }],
    ["informer.List", { json: true }],
  ]);
  assertEquals(replies, [{ json: true }, { json: ["mail"] }, { json: ["http", "jobs"] }]);
});

for (const kind of ["tcp", "unix"]) {
  Deno.test(`PHP sends 2,000 calls before it reads a reply, over ${kind}`, async () => {
    using scratch = new Scratch();
    const listen = kind === "tcp" ? "tcp://127.0.0.1:0" : `unix://${scratch.path("rpc.sock")}`;
    const host = new FakeHost();
    await using server = await serveHost(host, listen);
    const out = JSON.parse(await php("rpc_many.php", ["2000"], server.address));
    assertEquals(out.replies, 2000);
    assertEquals(host.asked.length, 500);
  });
}

Deno.test("several PHP programs call at once", async () => {
  await using server = await serveHost(new FakeHost());
  const all = Array.from({ length: 4 }, () => php("rpc_many.php", ["300"], server.address));
  for (const out of await Promise.all(all)) assertEquals(JSON.parse(out).replies, 300);
});

Deno.test("docs/rpc.md names every method, and none that is not there", () => {
  const page = PAGES.find(({ name }) => name === "docs/rpc.md")!;
  const written = new Set(
    [...page.text.matchAll(/`([a-z]+\.(?:[A-Z]\w+|\*))`/g)].map(([, it]) => it),
  );
  const methods = Object.keys(rpcTables(new FakeHost(), []));
  const nameOf = (method: string) =>
    /^(kv|lock)\./.test(method) ? method.replace(/\..*/, ".*") : method.replace("WithContext", "");
  assertEquals(methods.map(nameOf).filter((name) => !written.has(name)), []);
  const known = new Set(methods.map(nameOf));
  const strange = [...written].filter((name) => !name.endsWith(".*") && !known.has(name));
  // Those of plugins, which bring their own tables.
  assertEquals(strange.filter((name) => !/^(jobs|tcp)\./.test(name)), []);
});
