/** Methods about the daemon itself, called by PHP straight on the protocol, and all tables together. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Failure } from "../../../../lib/core/failure.ts";
import { RR_VERSION } from "../../../../lib/release/render_worker.ts";
import { rpcTables } from "../../../../lib/control/rpc/mod.ts";
import { PAGES } from "../../docs/pages.ts";
import { callFromPhp, php } from "../../../kit/php_rpc.ts";
import { Scratch } from "../../../kit/scratch.ts";
import { Client, JSON_CODEC } from "../../goridge/rpc_kit.ts";
import { FakeHost, field, made, serveHost } from "./kit.ts";

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
