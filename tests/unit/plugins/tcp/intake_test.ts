/** The intake: addresses, generations, what a reload does, RPC, and the end. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Failure } from "../../../../lib/core/failure.ts";
import type { RpcCall } from "../../../../lib/goridge/rpc.ts";
import { RpcError } from "../../../../lib/goridge/rpc.ts";
import { tcp } from "../../../../plugins/tcp/mod.ts";
import { ManualClock } from "../../../kit/manual_clock.ts";
import { RawPeer } from "../../../kit/raw_http.ts";
import { until } from "../../../kit/wait.ts";
import { HOST, Stage, tcpOf, withTcp } from "./kit.ts";

Deno.test("before anything is live a client is let go at once, and told in the log", async () => {
  const stage = new Stage(withTcp(tcpOf({ main: {} })));
  await using _ = stage;
  await stage.intake.start();
  using client = await stage.connect();
  await client.ended();
  const [{ server, reason }] = stage.events("tcp_connections_cut");
  assertEquals([server, reason], ["main", "no release is live"]);
  const { name, address, state } = stage.intake.snapshot();
  assertEquals([name, address, state], ["tcp", `${HOST}:${stage.portOf()}`, "open"]);
});

Deno.test("without the section nothing listens, nothing is counted, a generation has no pool", async () => {
  const config = withTcp(undefined);
  await using stage = new Stage(config);
  await stage.intake.start();
  const generation = await stage.build(config);
  assertEquals([stage.pools.length, stage.intake.pools(generation)], [0, []]);
  stage.intake.swap(generation);
  assertEquals(stage.intake.snapshot(), {
    name: "tcp",
    address: "",
    state: "closed",
    connections: 0,
    requests: 0,
  });
  await stage.intake.drop(generation);
  assertEquals([await stage.intake.drain(0), stage.counts.values], [{ cut: 0 }, {}]);
});

Deno.test("the pool of a release is ordered as configured", async () => {
  const config = tcpOf({ main: {} });
  const pool = { ...config.pool, command: ["php", "worker.php"], num_workers: 3 };
  await using stage = new Stage(withTcp({ ...config, pool }));
  await stage.build(withTcp({ ...config, pool }));
  const { plugin, name, command, settings } = stage.pool.order;
  assertEquals([plugin, name, command], ["tcp", "tcp", pool.command]);
  assertEquals(settings.num_workers, 3);
});

Deno.test("a swap: a connection stays with the release that took it, until it ends", async () => {
  await using stage = await Stage.live();
  using old = await stage.open();
  const oldPool = stage.pool;
  const draining = stage.intake.swap(await stage.build(withTcp(tcpOf({ main: {} }))));
  assertEquals(draining.held, 1);
  using fresh = await stage.open();
  await fresh.send("new\r\n");
  (await stage.expect("DATA", "new\r\n")).raw("WRITE", "2");
  await old.send("old\r\n");
  (await stage.expect("DATA", "old\r\n", oldPool)).raw("WRITECLOSE", "1");
  (await stage.expect("CLOSE", "", oldPool)).raw("CLOSE");
  assertEquals(await old.rest(), "1");
  old.close();
  await draining.idle;
  await until("only the new one is left", () => stage.connections === 1);
  assertEquals(oldPool.calls.length, 3);
});

Deno.test("a drain that is over: closed, CLOSE told, and workers live until it is answered, within bounds", async () => {
  const clock = new ManualClock();
  const config = withTcp(tcpOf({ main: {} }));
  const stage = new Stage(config, { clock });
  await using _ = stage;
  await stage.intake.start();
  const generation = await stage.build(config);
  stage.intake.swap(generation);
  using client = await stage.open();
  stage.intake.swap(undefined).cut();
  const close = await stage.expect("CLOSE");
  let dropped = false;
  const dropping = stage.intake.drop(generation).then(() => dropped = true);
  await clock.advance(4_000);
  assertEquals([dropped, close.cancelled, stage.pool.destroyed], [false, false, false]);
  await clock.advance(2_000);
  await dropping;
  assertEquals([close.cancelled, stage.pool.destroyed], [true, true]);
  await client.ended();
  assertEquals(stage.counts.values["cut_connections main drain"], 1);
});

Deno.test("survivors of a dropped generation are named", async () => {
  await using stage = await Stage.live();
  const generation = await stage.build(withTcp(tcpOf({ main: {} })));
  stage.pool.survivors = [11, 12];
  const failure = await assertRejects(() => stage.intake.drop(generation), Failure);
  assertEquals(failure.message, `workers of the pool "tcp" outlived SIGKILL: pids 11, 12`);
});

Deno.test("the end: connections get the budget, then CLOSE; cut() ends them without a word", async () => {
  const clock = new ManualClock();
  await using stage = await Stage.live({}, { clock });
  using one = await stage.open();
  using two = await stage.open();
  const draining = stage.intake.drain(30_000);
  await clock.advance(29_000);
  assertEquals(stage.connections, 2);
  await one.send("last\r\n");
  (await stage.expect("DATA", "last\r\n")).raw("WRITECLOSE", "bye");
  (await stage.expect("CLOSE")).raw("CLOSE");
  assertEquals(await one.rest(), "bye");
  one.close();
  await until("one is over", () => stage.connections === 1);
  await clock.advance(2_000);
  const silent = await stage.expect("CLOSE");
  await two.ended();
  stage.intake.cut();
  assertEquals(await draining, { cut: 1 });
  assert(silent.cancelled);
  await assertRejects(() => stage.connect());
});

Deno.test("the end waits for connections of a retired release, and gives them no more than they had", async () => {
  const clock = new ManualClock();
  await using stage = await Stage.live({}, { clock });
  using one = await stage.open();
  using two = await stage.open();
  const old = stage.pool;
  stage.intake.swap(await stage.build(withTcp(tcpOf({ main: {} })))).within(10_000);
  let isOver = false;
  const end = stage.intake.drain(60_000).finally(() => isOver = true);
  await one.send("last\r\n");
  (await stage.expect("DATA", "last\r\n", old)).raw("WRITECLOSE", "bye");
  (await stage.expect("CLOSE", "", old)).raw("CLOSE");
  assertEquals(await one.rest(), "bye");
  one.close();
  await until("one is over", () => stage.connections === 1);
  await clock.advance(9_999);
  assertEquals([isOver, stage.connections], [false, 1]);
  await clock.advance(1);
  (await stage.expect("CLOSE", "", old)).raw("CLOSE");
  await two.ended();
  await end;
});

Deno.test("an address in use names who has it, and the key", async () => {
  using other = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = other.addr as Deno.NetAddr;
  const addr = { host: HOST, port };
  const stage = new Stage(withTcp(tcpOf({ main: {}, second: { addr } })));
  const failure = await assertRejects(async () => await stage.intake.start(), Failure);
  assertEquals(
    failure.message,
    `cannot listen on ${HOST}:${port} (tcp.servers.second.addr): the address is in use by "nginx" (pid 7)`,
  );
  await stage.intake[Symbol.asyncDispose]();
  const [{ address }] = stage.events("listener_bound");
  await assertRejects(() => Deno.connect({ port: Number(address.split(":")[1]) }), Error);
});

Deno.test("a reload: servers come, move and go; connections there live on", async () => {
  await using stage = await Stage.live();
  using old = await stage.open();
  const next = withTcp(tcpOf({ main: { addr: { host: "127.0.0.2", port: 0 } }, more: {} }));
  const before = stage.portOf();
  const rebinding = (await stage.intake.rebind(next))!;
  assertEquals(stage.portOf(), before);
  rebinding.commit();
  stage.intake.configure(next);
  using moved = await RawPeer.connect(stage.portOf(), "127.0.0.2");
  (await stage.expect("CONNECTED")).raw("CONTINUE");
  using more = await stage.open("more");
  await old.send("still here\r\n");
  (await stage.expect("DATA", "still here\r\n")).raw("WRITE", "yes");
  assertEquals(await old.bytes(3), "yes");
  assertEquals(stage.connections, 3);
  assertEquals(await stage.intake.rebind(next), undefined);
  const without = withTcp(undefined);
  (await stage.intake.rebind(without))!.commit();
  stage.intake.configure(without);
  assertEquals([stage.intake.snapshot().state, stage.intake.drainBudget()], ["closed", 60_000]);
  for (const client of [old, moved, more]) {
    client.close();
    (await stage.expect("CLOSE")).raw("CLOSE");
  }
  await until("all are closed", () => stage.events("listener_closed").length === 3);
  stage.intake.configure(without);
  assertEquals(stage.intake.servers.size, 0);
});

Deno.test("a reload that fails leaves everything as it was", async () => {
  using other = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = other.addr as Deno.NetAddr;
  await using stage = await Stage.live();
  const addr = { host: HOST, port };
  const next = withTcp(tcpOf({ main: { addr: { host: "127.0.0.2", port: 0 } }, bad: { addr } }));
  await assertRejects(() => stage.intake.rebind(next), Failure, "tcp.servers.bad.addr");
  using _client = await stage.open();
});

Deno.test("limits of a reload hold for the connections that are there", async () => {
  const clock = new ManualClock();
  await using stage = await Stage.live({}, { clock });
  using client = await stage.open();
  await clock.advance(3_600_000);
  assertEquals(stage.connections, 1);
  const next = withTcp(tcpOf({ main: { idle_timeout: 1000 } }));
  assertEquals(await stage.intake.rebind(next), undefined);
  stage.intake.configure(next);
  const close = stage.expect("CLOSE");
  await clock.advance(2_000);
  (await close).raw("CLOSE");
  await client.ended();
  await stage.empty();
});

Deno.test("tcp.Close: the connection ends with CLOSE; an unknown id is no error", async () => {
  await using stage = await Stage.live();
  const table = tcp.rpc!(stage.intake);
  const call = (value: unknown) =>
    table["tcp.Close"]({ codec: "json", bytes: new Uint8Array(0), json: () => value } as RpcCall);
  using client = await stage.connect();
  const connected = await stage.expect("CONNECTED");
  connected.raw("CONTINUE");
  assertEquals(call(connected.context.uuid), { json: true });
  assertEquals(await client.ended(), "end");
  const close = await stage.expect("CLOSE");
  assertEquals(close.context.uuid, connected.context.uuid);
  close.raw("CLOSE");
  await stage.empty();
  assertEquals(call(connected.context.uuid), { json: true });
  assertThrows(() => call(null), RpcError, "uuid");
});

Deno.test("tcp.Close while an event is at a worker: its answer is written nowhere, then CLOSE", async () => {
  await using stage = await Stage.live();
  using client = await stage.open();
  await client.send("a\r\nb\r\n");
  const data = await stage.expect("DATA", "a\r\n");
  stage.intake.close(data.context.uuid);
  assertEquals(await client.rest(), "");
  data.raw("WRITE", "late");
  (await stage.expect("CLOSE")).raw("CLOSE");
  await stage.empty();
});

Deno.test("events of one connection are in order, connections do not wait for each other", async () => {
  await using stage = await Stage.live();
  using slow = await stage.open();
  using quick = await stage.open();
  await slow.send("1\r\n2\r\n");
  const first = await stage.expect("DATA", "1\r\n");
  await quick.send("q\r\n");
  (await stage.expect("DATA", "q\r\n")).raw("WRITE", "done");
  assertEquals(await quick.bytes(4), "done");
  first.raw("WRITE", "one");
  (await stage.expect("DATA", "2\r\n")).raw("WRITE", "two");
  assertEquals(await slow.bytes(6), "onetwo");
});
