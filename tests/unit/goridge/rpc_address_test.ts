/** The addresses of the RPC server: sockets and their owners, rebinding, and its close. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import type { RpcTable } from "../../../lib/goridge/rpc.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { Scratch } from "../../kit/scratch.ts";
import { soon } from "../../kit/wait.ts";
import { Client, recorder, request, serve, table } from "./rpc_kit.ts";

Deno.test("close: what is in flight is answered, then all connections end", async () => {
  const gate = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const wait: RpcTable = {
    "wait.It": async () => {
      started.resolve();
      await gate.promise;
      return { json: true };
    },
  };
  const server = await serve(wait);
  using idle = await Client.to(server.address);
  using client = await Client.to(server.address);
  await client.write(request("wait.It", "", 1));
  await started.promise;
  const closing = server.close(20_000);
  assertEquals(await soon("the idle one ends", idle.reply()), undefined);
  await assertRejects(() => Client.to(server.address));
  gate.resolve();
  assertEquals((await client.reply())?.text, "true");
  assertEquals(await client.reply(), undefined);
  await closing;
  assertEquals(server.connections, 0);
});

Deno.test("close cuts what does not end in time", async () => {
  const clock = new ManualClock();
  const started = Promise.withResolvers<void>();
  const wait: RpcTable = { "wait.It": () => (started.resolve(), new Promise(() => {})) };
  const server = await serve(wait, { clock });
  using client = await Client.to(server.address);
  await client.write(request("wait.It", "", 1));
  await started.promise;
  const closing = server.close(5000);
  await clock.advance(5000);
  await soon("the close", closing);
  assertEquals(await client.reply(), undefined);
});

Deno.test("a Unix socket: only its owner may use it, and close removes it", async () => {
  using scratch = new Scratch();
  const path = scratch.path("rpc.sock");
  const before = Deno.umask(0);
  try {
    const owner = { uid: 65534, gid: 12345 };
    await using server = await serve(table, { listen: `unix://${path}`, owner });
    const { mode, uid, gid } = Deno.lstatSync(path);
    assertEquals([mode! & 0o777, uid, gid], [0o600, 65534, 12345]);
    assertEquals([...Deno.readDirSync(scratch.dir)].map(({ name }) => name), ["rpc.sock"]);
    assertEquals(server.address, `unix://${path}`);
    using client = await Client.to(server.address);
    assertEquals((await client.call("echo.Json", "1")).text, "1");
    const rebinding = await server.rebind(`unix://${path}`, { uid: 1, gid: 2 });
    assertEquals(ownerOf(path), [1, 2]);
    rebinding!.undo();
    assertEquals(ownerOf(path), [65534, 12345]);
    assertEquals(await server.rebind(`unix://${path}`, owner), undefined);
  } finally {
    Deno.umask(before);
  }
  assertEquals([...Deno.readDirSync(scratch.dir)], []);
});

Deno.test("a Unix socket that is stale is replaced, one that answers and a file are not", async () => {
  using scratch = new Scratch();
  const listen = `unix://${scratch.path("rpc.sock")}`;
  const stale = Deno.listen({ transport: "unix", path: scratch.path("old") });
  Deno.renameSync(scratch.path("old"), scratch.path("rpc.sock"));
  stale.close();
  await using _server = await serve(table, { listen });
  const taken = await assertRejects(() => serve(table, { listen }), Failure);
  assertEquals(
    taken.message,
    `cannot open the RPC socket "${scratch.path("rpc.sock")}": another program answers there`,
  );
  scratch.write("file", "");
  const file = `unix://${scratch.path("file")}`;
  const failure = await assertRejects(() => serve(table, { listen: file }), Failure);
  assertStringIncludes(failure.message, "something that is not a socket lies there");
});

Deno.test("a bad or taken address is a sentence", async () => {
  const bad = await assertRejects(() => serve(table, { listen: "http://x" }), Failure);
  assertEquals(bad.message, 'cannot listen for RPC on "http://x": that is no address');
  await using server = await serve(table);
  const taken = await assertRejects(() => serve(table, { listen: server.address }), Failure);
  const message = `cannot listen for RPC on "${server.address}": address already in use`;
  assertEquals(taken.message, message);
});

Deno.test("rebind: the new address before the old one goes, and who is connected stays", async () => {
  using scratch = new Scratch();
  const { emit, lines } = recorder();
  await using server = await serve(table, { emit });
  const old = server.address;
  using connected = await Client.to(old);
  await connected.call("echo.Json", "1");
  assertEquals(await server.rebind("tcp://127.0.0.1:0", undefined), undefined);

  const next = `unix://${scratch.path("rpc.sock")}`;
  const given = (await server.rebind(next, undefined))!;
  using early = await Client.to(next);
  assertEquals((await early.call("echo.Json", "1")).text, "1");
  given.undo();
  assertEquals(await early.reply(), undefined);
  assertEquals([...Deno.readDirSync(scratch.dir)], []);
  assertEquals(server.address, old);

  const rebinding = (await server.rebind(next, undefined))!;
  using late = await Client.to(old);
  using first = await Client.to(next);
  rebinding.commit();
  assertEquals(server.address, next);
  for (const client of [connected, first]) {
    assertEquals((await client.call("echo.Json", "3")).text, "3");
  }
  await assertRejects(() => Client.to(old), Deno.errors.ConnectionRefused);
  await late.conn.closeWrite();
  const bound = `listener_bound {"name":"rpc","address":"${next}"}`;
  const closed = `listener_closed {"name":"rpc","address":"${old}"}`;
  assertEquals(lines.slice(-2), [bound, closed]);
});

Deno.test("an address that was to be served when the server closed is not left behind", async () => {
  using scratch = new Scratch();
  const server = await serve(table);
  const rebinding = server.rebind(`unix://${scratch.path("rpc.sock")}`, undefined);
  await server.close(0);
  assertEquals(await rebinding, undefined);
  assertEquals([...Deno.readDirSync(scratch.dir)], []);
});

function ownerOf(path: string): [number | null, number | null] {
  const { uid, gid } = Deno.lstatSync(path);
  return [uid, gid];
}
