/** Upgrades: byte tunnels on the raw front, and what happens when one does not come about. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type RawPeer, RawServer } from "../../../kit/raw_http.ts";
import { until } from "../../../kit/wait.ts";
import { answering, echo, ok, Proxy } from "../proxy_kit.ts";

const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Accept: abc\r\n\r\n";
/** Close frame 1012 as a server sends it. */
const RESTART = "\x88\x02\x03\xf4";

function offer(client: RawPeer, protocol = "websocket", ...more: string[]): Promise<void> {
  return client.request(
    "GET /chat HTTP/1.1",
    "Host: x",
    "Connection: keep-alive, Upgrade",
    `Upgrade: ${protocol}`,
    "Sec-WebSocket-Key: abc",
    ...more,
  );
}

/** A program that takes every upgrade and hands the connection to `serve`. */
function upgrading(serve: (peer: RawPeer, head: string) => Promise<void>): RawServer {
  return new RawServer(async (peer) => {
    const head = await peer.until("\r\n\r\n");
    await peer.send(SWITCH);
    await serve(peer, head);
  });
}

Deno.test("http edge: an upgrade becomes a tunnel, early bytes included, counted as websocket", async () => {
  let seen = "";
  await using program = upgrading(async (peer, head) => {
    seen = head;
    await peer.send("early");
    assertEquals(await peer.bytes(4), "ping");
    await peer.send("pong");
    await peer.ended();
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await offer(client);
  await client.send("ping");
  const answer = await client.message();
  assertEquals([answer.status, answer.get("upgrade"), answer.get("connection")], [
    101,
    "websocket",
    "Upgrade",
  ]);
  assertEquals(answer.get("sec-websocket-accept"), "abc");
  assertEquals(await client.bytes(9), "earlypong");
  assertMatch(seen, /\r\nUpgrade: websocket\r\n/);
  assertMatch(seen, /\r\nConnection: Upgrade\r\n/);
  assertMatch(seen, /\r\nX-Forwarded-Host: x\r\n/);
  assertEquals(proxy.set.counts, { http: 0, websocket: 1 });
  client.close();
  await proxy.quiet();
});

Deno.test("http edge: any other protocol is tunnelled too, large data both ways, half-close", async () => {
  const size = 1_000_000;
  await using program = upgrading(async (peer) => {
    const got = await peer.bytes(size);
    await peer.send(got);
    await peer.conn.closeWrite();
    assertEquals(await peer.rest(), "after");
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await offer(client, "my-protocol/2");
  await client.message();
  const sending = client.send("a".repeat(size));
  assertEquals((await client.bytes(size)).length, size);
  await sending;
  assertEquals(await client.ended(), "end");
  await client.send("after");
  await client.conn.closeWrite();
  await proxy.quiet();
});

Deno.test("http edge: an h2c offer is answered as plain HTTP/1.1", async () => {
  await using program = echo();
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request(
    "GET / HTTP/1.1",
    "Host: x",
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
  );
  const answer = await client.message();
  assertEquals(answer.status, 200);
  assert(!/upgrade|http2-settings/i.test(answer.body), answer.body);
});

Deno.test("http edge: an upgrade that the program refuses is an ordinary answer", async () => {
  await using program = answering(
    "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
  );
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  for (let i = 0; i < 2; i++) {
    await offer(client);
    const answer = await client.message();
    assertEquals([answer.status, answer.body], [403, "nope"]);
  }
});

Deno.test("http edge: an upgrade without a program is 502, without a release 503", async () => {
  const gone = answering("");
  await gone[Symbol.asyncDispose]();
  await using proxy = new Proxy([gone.port]);
  using client = await proxy.connect();
  await offer(client);
  assertEquals((await client.message()).status, 502);
  proxy.gate.swap(undefined);
  await offer(client);
  assertEquals((await client.message()).status, 503);
});

Deno.test("http edge: 101 that nobody asked for is 502", async () => {
  await using program = answering(SWITCH);
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  assertEquals((await client.message()).status, 502);
});

Deno.test("http edge: a cut drain says 1012 between two frames", async () => {
  const half = Promise.withResolvers<void>();
  await using program = upgrading(async (peer) => {
    await peer.send("\x81\x05hello\x81\x7e\x01\x00" + "a".repeat(100));
    await half.promise;
    await peer.send("a".repeat(156) + "\x81\x03xyz");
    await peer.ended();
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await offer(client);
  await client.message();
  assertEquals(await client.bytes(7), "\x81\x05hello");
  await client.bytes(104);
  const draining = proxy.gate.swap(undefined);
  draining.cut();
  half.resolve();
  const rest = await client.rest();
  assert(rest.startsWith("a".repeat(156)), "the frame was broken");
  assert(rest.endsWith(RESTART), JSON.stringify(rest.slice(-10)));
  client.close();
  await proxy.quiet();
});

Deno.test("http edge: a cut drain ends idle WebSockets at once and others without a frame", async () => {
  for (const protocol of ["websocket", "other"]) {
    await using program = upgrading(async (peer) => void await peer.ended());
    await using proxy = new Proxy([program.port]);
    using client = await proxy.connect();
    await offer(client, protocol);
    await client.message();
    await until("the tunnel stands", () => proxy.set.counts.websocket === 1);
    proxy.gate.swap(undefined).cut();
    assertEquals(await client.rest(), protocol === "websocket" ? RESTART : "");
  }
});

Deno.test("http edge: a client that resets at any moment of an upgrade harms nothing", async () => {
  let mode = 0;
  await using program = new RawServer(async (peer, index) => {
    await peer.until("\r\n\r\n");
    if (index % 3 === 0) return;
    await peer.send(SWITCH.slice(0, (index * 13) % SWITCH.length + 1));
    if (index % 3 === 1) return;
    await peer.send(SWITCH.slice((index * 13) % SWITCH.length + 1));
    await peer.send("x".repeat(100_000));
    await peer.ended();
  });
  await using proxy = new Proxy([program.port]);
  for (; mode < 60; mode++) {
    const client = await proxy.connect();
    await offer(client);
    if (mode % 2 === 0) await client.send("y".repeat(mode * 100));
    // Unread bytes make the close a reset; sometimes wait for some.
    if (mode % 5 === 0) await client.conn.read(new Uint8Array(1));
    client.close();
  }
  await proxy.quiet();
  assertEquals(await get(proxy), 200);
});

async function get(proxy: Proxy): Promise<number> {
  await using program = answering(() => ok(""));
  proxy.set.remove("web-0");
  proxy.set.add(proxy.upstream("web-0", program.port));
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x", "Connection: close");
  const { status } = await client.message();
  for (const upstream of proxy.set.list()) upstream.close();
  return status;
}
