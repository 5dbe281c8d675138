/** The intake: addresses, generations, what a reload does, and the end. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../../../lib/core/failure.ts";
import type { HttpConfig } from "../../../../lib/config/roadrunner/http.ts";
import { Scratch } from "../../../kit/scratch.ts";
import { RawPeer } from "../../../kit/raw_http.ts";
import { until } from "../../../kit/wait.ts";
import { httpOf, Stage, withHttp } from "./kit.ts";

const GET = ["GET / HTTP/1.1", "Host: h"] as const;
const HOST = "127.0.0.1";

Deno.test("it listens before anything is live, and answers 503", async () => {
  await using stage = new Stage();
  await stage.intake.start();
  using client = await stage.connect();
  await client.request(...GET);
  const answer = await client.message();
  assertEquals([answer.status, answer.get("retry-after")], [503, "1"]);
  assertEquals(stage.intake.snapshot(), {
    name: "http",
    address: `${HOST}:${stage.port}`,
    state: "open",
    connections: 1,
    requests: 1,
  });
});

Deno.test("without the section nothing listens, and a generation has no pool", async () => {
  const config = withHttp(undefined);
  config.sections = {};
  await using stage = new Stage(config);
  await stage.intake.start();
  const generation = await stage.build(config);
  assertEquals([stage.pools.length, stage.intake.pools(generation)], [0, []]);
  stage.intake.swap(generation);
  assertEquals(stage.intake.snapshot().state, "closed");
  await stage.intake.drop(generation);
  assertEquals(await stage.intake.drain(0), { cut: 0 });
});

Deno.test("the pool of a release is ordered as configured", async () => {
  const pool = { ...httpOf().pool, command: ["php", "worker.php"], num_workers: 3 };
  await using stage = await Stage.live({ pool });
  const { plugin, name, command, settings, warmup } = stage.pool.order;
  assertEquals([plugin, name, command, warmup], ["http", "http", pool.command, undefined]);
  assertEquals(settings.num_workers, 3);
});

Deno.test("a swap: what waits stays with the old pool, what comes goes to the new one", async () => {
  await using stage = await Stage.live();
  using first = await stage.connect();
  await first.request(...GET);
  const old = stage.pool;
  const waiting = await old.next();
  const next = await stage.build(withHttp());
  const draining = stage.intake.swap(next);
  assertEquals(draining.held, 1);
  using second = await stage.connect();
  await second.request(...GET);
  (await stage.pool.next()).reply(200, {}, "new");
  assertEquals((await second.message()).body, "new");
  waiting.reply(200, {}, "old");
  const answer = await first.message();
  assertEquals([answer.body, answer.get("connection")], ["old", "close"]);
  await draining.idle;
  assertEquals(old.calls.length, 1);
});

Deno.test("a body that comes slowly goes to the pool that is live at its end", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request("POST / HTTP/1.1", "Host: h", "Content-Length: 4");
  await client.send("ab");
  const draining = stage.intake.swap(await stage.build(withHttp()));
  await draining.idle;
  await client.send("cd");
  const call = await stage.pool.next();
  assertEquals([stage.pool.release, call.body], ["v2", "abcd"]);
  call.reply(200);
  assertEquals((await client.message()).status, 200);
});

Deno.test("a drain that is cut: 503 before an answer, the end of the connection inside one", async () => {
  await using stage = await Stage.live();
  using waiting = await stage.connect();
  await waiting.request(...GET);
  const call = await stage.pool.next();
  using streaming = await stage.connect();
  await streaming.request(...GET);
  const stream = (await stage.pool.next()).reply(200, {}, "begun", true);
  await streaming.until("begun");
  const draining = stage.intake.swap(undefined);
  draining.cut();
  const answer = await waiting.message();
  assertEquals([answer.status, answer.get("connection"), call.cancelled], [503, "close", true]);
  await streaming.ended();
  await stream.stopped;
  assertEquals([draining.held, draining.wasCut], [0, 2]);
  assertEquals(stage.events("request_failed"), []);
});

Deno.test("a drain that is cut reaches a client that does not read, too", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request(...GET);
  (await stage.pool.next()).reply(200, {}, new Uint8Array(50_000_000));
  await client.head();
  stage.intake.swap(undefined).cut();
  await until("the connection is ended", () => stage.intake.snapshot().connections === 0);
});

Deno.test("the end waits for requests of a retired release, and gives them no more than they had", async () => {
  await using stage = await Stage.live();
  using one = await stage.connect();
  await one.request(...GET);
  const first = await stage.pool.next();
  using two = await stage.connect();
  await two.request(...GET);
  const second = await stage.pool.next();
  const retired = stage.intake.swap(await stage.build(withHttp()));
  let isOver = false;
  const end = stage.intake.drain(60_000).finally(() => isOver = true);
  first.reply(200, {}, "last");
  assertEquals((await one.message()).body, "last");
  assertEquals([isOver, retired.held], [false, 1]);
  retired.within(0);
  assertEquals((await two.message()).status, 503);
  assert(second.cancelled);
  await end;
});

Deno.test("a dropped generation is destroyed; survivors are named", async () => {
  await using stage = await Stage.live();
  const generation = await stage.build(withHttp());
  stage.pool.survivors = [11, 12];
  const failure = await assertRejects(() => stage.intake.drop(generation), Failure);
  assertEquals(failure.message, `workers of the pool "http" outlived SIGKILL: pids 11, 12`);
  assert(stage.pool.destroyed);
});

Deno.test("an address in use names who has it, and the key", async () => {
  using other = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = other.addr as Deno.NetAddr;
  const stage = new Stage(withHttp(httpOf({ address: { host: HOST, port } })));
  const failure = await assertRejects(async () => await stage.intake.start(), Failure);
  assertEquals(
    failure.text,
    `cannot listen on ${HOST}:${port} (http.address): the address is in use by "nginx" (pid 7)\n` +
      "stop that program, or choose another http.address",
  );
});

Deno.test("another address: bound first, taken with commit, the old one let go then", async () => {
  await using stage = await Stage.live();
  const old = stage.port;
  const next = withHttp(httpOf({ address: { host: "127.0.0.2", port: 0 } }));
  const rebinding = (await stage.intake.rebind(next))!;
  assertEquals(stage.port, old);
  rebinding.commit();
  stage.intake.configure(next);
  using client = await RawPeer.connect(stage.port, "127.0.0.2");
  await client.request(...GET);
  (await stage.pool.next()).reply(200);
  assertEquals((await client.message()).status, 200);
  await until("the old one is closed", () => stage.events("listener_closed").length === 1);
  assertEquals(await stage.intake.rebind(next), undefined);
});

Deno.test("the section goes and comes: the address too", async () => {
  await using stage = await Stage.live();
  const without = withHttp();
  without.sections = {};
  (await stage.intake.rebind(without))!.commit();
  stage.intake.configure(without);
  assertEquals(stage.intake.fronts.length, 0);
  assertEquals(stage.intake.drainBudget(), 60_000, "what it left behind is still finished");
  await until("it is closed", () => stage.events("listener_closed").length === 1);
  const again = withHttp();
  (await stage.intake.rebind(again))!.undo();
  assertEquals(stage.intake.fronts.length, 0);
  (await stage.intake.rebind(again))!.commit();
  stage.intake.configure(again);
  assertEquals(stage.intake.fronts.length, 1);
});

Deno.test("live settings are taken on: by requests, by the pools, by the connection", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  const next = httpOf({ max_request_size: 3, drain_timeout: 7, internal_error_code: 418 });
  next.pool.max_queue_size = 9;
  const config = withHttp(next);
  assertEquals(await stage.intake.rebind(config), undefined);
  stage.intake.configure(config);
  assertEquals(stage.pool.updates.map(({ max_queue_size }) => max_queue_size), [9]);
  assertEquals(stage.intake.drainBudget(), 7);
  await client.request(...GET);
  (await stage.pool.next()).fail("died");
  assertEquals((await client.message()).status, 418);
  await client.request("POST / HTTP/1.1", "Host: h", "Content-Length: 4");
  await client.send("abcd");
  assertEquals((await client.message()).status, 413);
  const few = withHttp(httpOf({ limits: { header_bytes: 1000, headers: 1 } }));
  stage.intake.configure(few);
  using other = await stage.connect();
  await other.request(...GET, "X-Second: 1");
  assertEquals((await other.message()).status, 431);
});

Deno.test("a Unix socket as address", async () => {
  using scratch = new Scratch();
  const path = scratch.path("http.sock");
  await using stage = await Stage.live({ address: { path } });
  assertEquals(stage.intake.snapshot().address, path);
  using client = new RawPeer(await Deno.connect({ transport: "unix", path }));
  await client.request(...GET);
  const call = await stage.pool.next();
  assertEquals(call.context.remoteAddr, "127.0.0.1");
  call.reply(200);
  assertEquals((await client.message()).status, 200);
});

Deno.test("TLS beside plain: the same pool, https in the URI", async () => {
  using scratch = new Scratch();
  const ssl = certified(scratch);
  await using stage = await Stage.live({ ssl });
  const [plain, tls] = stage.intake.fronts;
  const caCerts = [Deno.readTextFileSync(ssl.cert)];
  const conn = await Deno.connectTls({
    hostname: "localhost",
    port: tls.address.port,
    caCerts,
  });
  using client = new RawPeer(conn);
  await client.request(...GET);
  const call = await stage.pool.next();
  assertEquals(call.context.uri, "https://h/");
  call.reply(200);
  assertEquals((await client.message()).status, 200);
  assertEquals(
    stage.intake.snapshot().address,
    `${HOST}:${plain.address.port}, ${HOST}:${tls.address.port}`,
  );
  // The second address cannot be bound: the first is not moved either.
  const next = withHttp(httpOf({
    address: { host: "127.0.0.2", port: 0 },
    ssl: { ...ssl, address: { host: HOST, port: 0 }, cert: "/nowhere.pem" },
  }));
  (next.sections.http as HttpConfig).ssl!.address.host = "127.0.0.3";
  const failure = await assertRejects(() => stage.intake.rebind(next), Failure);
  assertEquals(failure.message.includes("/nowhere.pem (http.ssl.cert)"), true, failure.message);
  assertEquals(stage.intake.fronts, [plain, tls]);
});

/** A certificate for localhost. */
function certified(scratch: Scratch): NonNullable<HttpConfig["ssl"]> {
  const cert = scratch.path("cert.pem");
  const key = scratch.path("key.pem");
  const { success, stderr } = new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
      ...["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
    ],
    stderr: "piped",
  }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
  return { address: { host: HOST, port: 0 }, redirect: false, cert, key };
}

Deno.test("warm-up: each new worker answers a request first, and may refuse to start by it", async () => {
  const pool = { ...httpOf().pool, warmup: { path: "/warm?up=1" } };
  await using stage = await Stage.live({ pool });
  const { warmup } = stage.pool.order;
  const ask = async (status: number, more = false) => {
    const running = warmup!((request) => stage.pool.call(request).answer);
    const call = await stage.pool.next();
    assertEquals([call.context.uri, call.context.method], ["http://localhost/warm?up=1", "GET"]);
    call.reply(status, {}, "", more);
    return { running, call };
  };
  await (await ask(404)).running;
  const failure = await assertRejects(async () => (await ask(500)).running, Failure);
  assertEquals(failure.message, "the warm-up request GET /warm?up=1 was answered with 500");
  const { running, call } = await ask(103, true);
  call.part("stream", true, `{"status":200}`);
  await running;
  await call.stopped;
});
