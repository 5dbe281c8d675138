/** The socket itself: rights, replacement, what close leaves, and that answers get out before it. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { Failure } from "../../../lib/core/failure.ts";
import { openControl } from "../../../lib/control/server.ts";
import { realClock } from "../../../lib/os/clock.ts";
import { until } from "../../kit/wait.ts";
import { Scratch } from "../../kit/scratch.ts";
import { DEPLOYED, FakeOperations, readAll, Server, step, writeAll } from "./kit.ts";

const encoder = new TextEncoder();

function open(path: string, more: { mode?: number; owner?: number; group?: number } = {}) {
  const operations = new FakeOperations();
  return openControl({ path, mode: 0o600, operations, emit: () => {}, clock: realClock, ...more });
}

Deno.test("the socket has its mode and owner, and nothing else is left in the directory", async () => {
  using scratch = new Scratch();
  const path = scratch.path("control.sock");
  const before = Deno.umask(0);
  try {
    await using _control = await open(path, { mode: 0o660, owner: 65534, group: 12345 });
    const { mode, uid, gid } = Deno.lstatSync(path);
    assertEquals([mode! & 0o777, uid, gid], [0o660, 65534, 12345]);
    assertEquals([...Deno.readDirSync(scratch.dir)].map((entry) => entry.name), ["control.sock"]);
  } finally {
    Deno.umask(before);
  }
  assertEquals([...Deno.readDirSync(scratch.dir)], []);
});

Deno.test("until it is in place the socket lies in a directory that only its owner may enter", async () => {
  using scratch = new Scratch();
  const path = scratch.path("control.sock");
  // Every step is looked at from inside the system call that follows the one before.
  const seen: string[] = [];
  const look = () => {
    for (const entry of Deno.readDirSync(scratch.dir)) {
      const { mode } = Deno.lstatSync(scratch.path(entry.name));
      seen.push(
        `${entry.name.startsWith(".") ? "private" : entry.name} ${(mode! & 0o777).toString(8)}`,
      );
    }
  };
  const { chmodSync, chownSync, renameSync } = Deno;
  const before = Deno.umask(0);
  try {
    Deno.chownSync = (...args) => (look(), chownSync(...args));
    Deno.chmodSync = (...args) => (look(), chmodSync(...args));
    Deno.renameSync = (...args) => (look(), renameSync(...args), look());
    await using _control = await open(path, { mode: 0o640, group: 65534 });
    assertEquals(seen.sort(), ["control.sock 640", ...Array(4).fill("private 700")]);
  } finally {
    Object.assign(Deno, { chmodSync, chownSync, renameSync });
    Deno.umask(before);
  }
});

Deno.test("a stale socket is replaced", async () => {
  using scratch = new Scratch();
  const path = scratch.path("control.sock");
  const dead = Deno.listen({ transport: "unix", path: `${path}.old` });
  Deno.renameSync(`${path}.old`, path);
  dead.close();
  assert(Deno.lstatSync(path).isSocket);
  await using _control = await open(path);
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  const response = await fetch("http://localhost/v1/health", { client });
  assertEquals((await response.json()).status, "ok");
});

Deno.test("a living daemon's socket is not replaced: exit 5", async () => {
  await using server = await Server.open();
  const failure = await assertRejects(() => server.another(), Failure) as Failure;
  assertEquals(failure.exit, 5);
  assertStringIncludes(
    failure.message,
    `another daemon answers at the control socket "${server.path}"`,
  );
  assertEquals((await server.fetch("/v1/health")).status, 200);
});

Deno.test("an ordinary file at the path is left alone", async () => {
  using scratch = new Scratch();
  const path = scratch.write("control.sock", "precious");
  const failure = await assertRejects(() => open(path), Failure) as Failure;
  assertStringIncludes(failure.message, "something that is not a socket lies there");
  assertEquals(scratch.read("control.sock"), "precious");
});

Deno.test("a place where no socket can be made is a sentence", async () => {
  using scratch = new Scratch();
  const missing = await assertRejects(() => open(scratch.path("no", "c.sock")), Failure) as Failure;
  assertStringIncludes(missing.message, "no such file or directory");
  const dir = join(scratch.dir, "d".repeat(100));
  Deno.mkdirSync(dir);
  const long = await assertRejects(() => open(join(dir, "control.sock")), Failure) as Failure;
  assertStringIncludes(long.message, "cannot");
  assertEquals([...Deno.readDirSync(dir)], []);
});

Deno.test("close removes the name, but not that of a newer socket", async () => {
  const server = await Server.open();
  {
    await using _server = server;
    Deno.removeSync(server.path);
    const newer = Deno.listen({ transport: "unix", path: server.path });
    await server.control.close();
    assert(Deno.lstatSync(server.path).isSocket);
    newer.close();
  }
  await using other = await Server.open();
  await other.control.close();
  assertEquals([...Deno.readDirSync(other.scratch.dir)], []);
});

Deno.test("a shutdown's answer is delivered whole, and the name is gone by then", async () => {
  for (let i = 0; i < 50; i++) {
    await using server = await Server.open();
    const message = "x".repeat(10_000);
    server.operations.shutdown = () => Promise.resolve({ status: "success", message });
    const connection = await server.connect();
    await writeAll(connection, encoder.encode("POST /v1/shutdown HTTP/1.1\r\nhost: x\r\n\r\n"));
    const buffer = new Uint8Array(16);
    await connection.read(buffer);
    assertEquals([...Deno.readDirSync(server.scratch.dir)], []);
    const closed = server.control.close();
    const rest = await readAll(connection);
    await closed;
    assert(rest.includes(`${message}"}`), "the answer was cut");
  }
});

Deno.test("close waits for an answer that is being worked on, then refuses", async () => {
  await using server = await Server.open();
  const hold = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  server.operations.deploy = async (_, tell) => {
    tell(step("one"));
    begun.resolve();
    await hold.promise;
    return DEPLOYED;
  };
  const deploying = server.fetch("/v1/deploy", { method: "POST", body: '{"release_path":"/a"}' });
  await begun.promise;
  const late = await server.connect();
  const closed = server.control.close(60_000);
  await writeAll(late, encoder.encode("GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n"));
  const buffer = new Uint8Array(1000);
  const refused = new TextDecoder().decode(buffer.subarray(0, (await late.read(buffer))!));
  assertStringIncludes(refused, "the daemon is shutting down");
  late.close();
  hold.resolve();
  assertStringIncludes((await deploying).text, '"type":"result"');
  await closed;
});

Deno.test("half a request and a silent client do not hold close up", async () => {
  await using server = await Server.open();
  await server.connect();
  await writeAll(await server.connect(), encoder.encode("POST /v1/stop HTTP/1.1\r\ncontent-le"));
  await server.control.close();
});

Deno.test("work that does not end is cut by close after its time", async () => {
  await using server = await Server.open();
  server.operations.restart = () => new Promise(() => {});
  const restarting = server.fetch("/v1/restart", { method: "POST" }).catch((error) => error.name);
  await until("the restart", () => server.control.working === 1);
  await server.control.close(10);
  assertEquals(await restarting, "TypeError");
});

Deno.test("followers end cleanly when the server closes", async () => {
  await using server = await Server.open();
  const connection = await server.connect();
  await writeAll(connection, encoder.encode("GET /v1/events?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n"));
  await until("the follower", () => server.operations.feed.followers === 1);
  const text = readAll(connection);
  await server.control.close();
  assert((await text).endsWith("0\r\n\r\n"), "the stream has its end");
  assertEquals(server.operations.feed.followers, 0);
});

Deno.test("DENO_SERVE_ADDRESS in the environment does not redirect the socket", async () => {
  Deno.env.set("DENO_SERVE_ADDRESS", "tcp:127.0.0.1:1");
  await using server = await Server.open();
  assertEquals((await server.fetch("/v1/health")).status, 200);
  assertEquals(Deno.env.get("DENO_SERVE_ADDRESS"), undefined);
});
