/** Clients that misbehave: the server keeps answering others, holds nothing for them, and closes. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { until } from "../../kit/wait.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { DEPLOYED, event, readAll, Server, step, writeAll } from "./kit.ts";

const encoder = new TextEncoder();
const FOLLOW = "GET /v1/events?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n";

async function answers(server: Server): Promise<void> {
  assertEquals((await server.fetch("/v1/health")).status, 200);
}

Deno.test("garbage is answered with 400 or cut, and harms nobody", async () => {
  await using server = await Server.open();
  const random = crypto.getRandomValues(new Uint8Array(4096));
  for (const bytes of [random, encoder.encode("\x00\x01\x02\r\n\r\n"), encoder.encode("{}\n")]) {
    const connection = await server.connect();
    await writeAll(connection, bytes);
    await connection.closeWrite().catch(() => {});
    const answer = await readAll(connection);
    assert(answer === "" || answer.startsWith("HTTP/1.1 4"), answer.slice(0, 100));
  }
  await answers(server);
});

Deno.test("a body over the limit is refused by its length, before it is read", async () => {
  await using server = await Server.open();
  const head = "POST /v1/stop HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n";
  const connection = await server.connect();
  await writeAll(connection, encoder.encode(head));
  assertStringIncludes(await readSome(connection), "413");
  assertEquals(server.operations.asked, []);
});

Deno.test("a chunked body over the limit is refused when the limit is passed", async () => {
  await using server = await Server.open();
  const connection = await server.connect();
  const head = "POST /v1/stop HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
  await writeAll(connection, encoder.encode(head));
  const answer = readSome(connection);
  let answered = false;
  answer.then(() => answered = true, () => answered = true);
  const chunk = encoder.encode(`10000\r\n${" ".repeat(0x10000)}\r\n`);
  for (let sent = 0; !answered; sent += chunk.length) {
    assert(sent < 16 * 1024 * 1024, `${sent} bytes were taken`);
    if (!await Promise.race([writeAll(connection, chunk), answer.then(() => false)])) break;
  }
  assertStringIncludes(await answer, "413");
  assertEquals(server.operations.asked, []);
  connection.close();
  await answers(server);
});

Deno.test("half a body ends with 408", async () => {
  const clock = new ManualClock();
  await using server = await Server.open({ clock });
  const connection = await server.connect();
  const head = "POST /v1/stop HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{";
  await writeAll(connection, encoder.encode(head));
  // The sweep waits already; the second timer is the body's.
  await until("the body to be waited for", () => clock.pending === 2);
  await clock.advance(10_000);
  assertStringIncludes(await readSome(connection), "408");
});

Deno.test("100 requests at once are all answered", async () => {
  await using server = await Server.open();
  const all = Array.from({ length: 100 }, () => server.fetch("/v1/status"));
  for (const answer of await Promise.all(all)) assertEquals(answer.status, 200);
});

Deno.test("work is bounded, looking is not", async () => {
  await using server = await Server.open({ limits: { requests: 2 } });
  const hold = Promise.withResolvers<void>();
  let begun = 0;
  server.operations.restart = async () => {
    begun++;
    await hold.promise;
    return { status: "success", restarted: [] };
  };
  const waiting = [1, 2].map(() => server.fetch("/v1/restart", { method: "POST" }));
  await until("both to be worked on", () => begun === 2);
  const third = await server.fetch("/v1/restart", { method: "POST" });
  assertEquals(third.status, 503);
  assertStringIncludes(third.text, "2 requests are being worked on already");
  await answers(server);
  hold.resolve();
  for (const answer of await Promise.all(waiting)) assertEquals(answer.status, 200);
  assertEquals((await server.fetch("/v1/restart", { method: "POST" })).status, 200);
});

Deno.test("followers are bounded, and a place is free again when one leaves", async () => {
  await using server = await Server.open({ limits: { followers: 1 } });
  const first = await server.connect();
  await writeAll(first, encoder.encode(FOLLOW));
  await until("the follower", () => server.operations.feed.followers === 1);
  const refused = await server.fetch("/v1/events?follow=1");
  assertEquals(refused.status, 503);
  assertStringIncludes(refused.text, "1 followers already");
  first.close();
  await until("the follower to be forgotten", () => server.operations.feed.followers === 0);
  const second = await server.connect();
  await writeAll(second, encoder.encode(FOLLOW));
  await until("the next follower", () => server.operations.feed.followers === 1);
});

Deno.test("a follower that never reads holds a bounded number of records and no one up", async () => {
  await using server = await Server.open();
  const connection = await server.connect();
  await writeAll(connection, encoder.encode(FOLLOW));
  const { feed } = server.operations;
  await until("the follower", () => feed.followers === 1);
  const padding = "x".repeat(10_000);
  await until("the feed to drop it", async () => {
    for (let seq = 0; seq < 500; seq++) feed.publish(event(seq, padding));
    await answers(server);
    return feed.dropped === 1;
  });
});

Deno.test("a follower that takes nothing for the stall time is cut", async () => {
  const clock = new ManualClock();
  await using server = await Server.open({ clock });
  const connection = await server.connect();
  await writeAll(connection, encoder.encode(FOLLOW));
  const { feed } = server.operations;
  await until("the follower", () => feed.followers === 1);
  // More than kernel and server take in for a reader that does not read.
  await until("the reader to be late", async () => {
    for (let seq = 0; seq < 10; seq++) feed.publish(event(seq, "x".repeat(50_000)));
    await clock.advance(0);
    return clock.pending === 2;
  });
  for (let minute = 0; minute < 10; minute++) await clock.advance(60_000);
  await until("the follower to be forgotten", () => feed.followers === 0);
  assertEquals(server.control.working, 0);
});

Deno.test("a deploy goes on when its client goes away", async () => {
  await using server = await Server.open();
  const hold = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<boolean>();
  server.operations.deploy = async (_, tell, signal) => {
    tell(step("begun"));
    await hold.promise;
    tell(step("nobody sees this"));
    ended.resolve(signal.aborted);
    return DEPLOYED;
  };
  const connection = await server.connect();
  const body = '{"release_path":"/a"}';
  const head = `POST /v1/deploy HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`;
  await writeAll(connection, encoder.encode(head + body));
  const buffer = new Uint8Array(1000);
  let text = "";
  while (!text.includes("begun")) {
    text += new TextDecoder().decode(buffer.subarray(0, (await connection.read(buffer))!));
  }
  connection.close();
  await until("the client to be missed", () => server.control.working === 0);
  hold.resolve();
  assertEquals(await ended.promise, false);
  await answers(server);
});

Deno.test("progress nobody reads is dropped beyond its bound; the result is not", async () => {
  await using server = await Server.open();
  const told = Promise.withResolvers<void>();
  server.operations.deploy = (_, tell) => {
    for (let i = 0; i < 5000; i++) tell(step("x".repeat(1000)));
    told.resolve();
    return Promise.resolve(DEPLOYED);
  };
  const { text } = await server.fetch("/v1/deploy", {
    method: "POST",
    body: '{"release_path":"/a"}',
  });
  const lines = text.trimEnd().split("\n");
  assert(lines.length > 100 && lines.length < 1100, `${lines.length} lines`);
  assertEquals(JSON.parse(lines.at(-1)!), { type: "result", result: DEPLOYED });
});

Deno.test("silent and half-request connections are closed after two sweeps; work is not", async () => {
  const clock = new ManualClock();
  await using server = await Server.open({ clock });
  const hold = Promise.withResolvers<void>();
  let working = false;
  server.operations.restart = async () => {
    working = true;
    await hold.promise;
    return { status: "success", restarted: ["web"] };
  };
  const restarting = server.fetch("/v1/restart", { method: "POST" });
  await until("the restart", () => working);
  const silent = await server.connect();
  const half = await server.connect();
  await writeAll(half, encoder.encode("GET /v1/status HTTP/1.1\r\nhost"));
  const before = Deno.lstatSync(server.path).ino;
  // Accepting is the server's own turn; the kernel lists a connection from then on.
  await until("the connections to be accepted", () => acceptedOf(server) === 3);
  await clock.advance(30_000);
  assertEquals(Deno.lstatSync(server.path).ino, before, "seen once is not silent");
  await clock.advance(30_000);
  assert(Deno.lstatSync(server.path).ino !== before, "a new socket stands in its place");
  assertEquals(server.events.at(-1), {
    event: "control_error",
    data: { error: "closing 2 silent connections" },
  });
  await answers(server);
  hold.resolve();
  assertEquals(JSON.parse((await restarting).text).restarted, ["web"]);
  await until("the last answer to be out", () => clock.pending === 2 || clock.pending === 1);
  await clock.advance(10_000);
  assertEquals(await readAll(silent), "");
  assertEquals(await readAll(half), "");
  await answers(server);
});

Deno.test("a quiet server is not replaced", async () => {
  const clock = new ManualClock();
  await using server = await Server.open({ clock });
  const connection = await server.connect();
  await writeAll(connection, encoder.encode(FOLLOW));
  await until("the follower", () => server.operations.feed.followers === 1);
  const before = Deno.lstatSync(server.path).ino;
  for (let sweep = 0; sweep < 5; sweep++) await clock.advance(30_000);
  assertEquals(Deno.lstatSync(server.path).ino, before);
  assertEquals(server.operations.feed.followers, 1);
});

async function readSome(connection: Deno.UnixConn): Promise<string> {
  const buffer = new Uint8Array(1000);
  const size = await connection.read(buffer);
  return new TextDecoder().decode(buffer.subarray(0, size ?? 0));
}

/** Connections that the kernel lists as accepted by any socket of this server. */
function acceptedOf(server: Server): number {
  const rows = Deno.readTextFileSync("/proc/self/net/unix").split("\n");
  return rows.filter((row) => row.includes(server.scratch.dir) && row.includes(" 03 ")).length;
}
