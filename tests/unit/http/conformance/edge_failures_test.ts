/** Programs that die, lie or talk nonsense, and the one retry. */

import { assert, assertEquals } from "@std/assert";
import { RawServer } from "../../../kit/raw_http.ts";
import { until } from "../../../kit/wait.ts";
import { answering, ok, Proxy } from "../proxy_kit.ts";

/** Answers that are none: each is 502, and nothing of it reaches the client. */
const GARBAGE: [name: string, answer: string][] = [
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ["bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
  ["control byte in a field", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"],
  ["CR in a field", "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n"],
  ["folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"],
  ["space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"],
  ["status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"],
  ["status with letters", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"],
  [
    "both lengths",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
  ["unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
  ["endless head", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(70_000)}\r\n\r\n`],
  ["too many fields", `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(201)}\r\n`],
  ["interim answers for ever", "HTTP/1.1 102 x\r\n\r\n".repeat(40)],
];

for (const [name, text] of GARBAGE) {
  Deno.test(`http edge: 502 for an answer with ${name}`, async () => {
    await using program = answering(text);
    await using proxy = new Proxy([program.port]);
    using client = await proxy.connect();
    await client.request("POST / HTTP/1.0", "Content-Length: 0");
    assertEquals((await client.message()).status, 502);
    assertEquals(proxy.told("proxy_error").length, 1);
  });
}

for (
  const [name, text] of [
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
    ["a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxx\r\n"],
  ]
) {
  Deno.test(`http edge: a program that dies in mid-body (${name}) cuts the client, no clean end`, async () => {
    await using program = new RawServer(async (peer) => {
      await peer.until("\r\n\r\n");
      await peer.send(text);
    });
    await using proxy = new Proxy([program.port]);
    using client = await proxy.connect();
    await client.request("GET / HTTP/1.1", "Host: x");
    const all = await client.rest();
    assert(!all.endsWith("0\r\n\r\n"), all);
    await proxy.quiet();
    assertEquals(proxy.told("proxy_error").length, 1);
  });
}

Deno.test("http edge: a stale pooled connection is retried for GET, on a fresh one", async () => {
  // Every connection answers once and breaks at the second request.
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send(ok("first"));
    await peer.until("\r\n\r\n");
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  for (let i = 0; i < 6; i++) {
    await client.request("GET / HTTP/1.1", "Host: x");
    assertEquals((await client.message()).body, "first");
  }
});

Deno.test("http edge: a POST that may have arrived is not sent twice", async () => {
  let posts = 0;
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send(ok("first"));
    await peer.until("body");
    posts++;
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await client.message();
  await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  assertEquals((await client.message()).status, 502);
  assertEquals(posts, 1);
});

Deno.test("http edge: a refused connection goes to another ready program, body and all", async () => {
  const gone = answering("");
  await gone[Symbol.asyncDispose]();
  await using program = new RawServer(async (peer) => {
    for (;;) {
      await peer.until("\r\n\r\n");
      await peer.send(ok(await peer.bytes(4)));
    }
  });
  await using proxy = new Proxy([gone.port, program.port]);
  using client = await proxy.connect();
  for (let i = 0; i < 4; i++) {
    await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    assertEquals((await client.message()).body, "body");
  }
});

Deno.test("http edge: a program that was refused waits at the gate when it is held then", async () => {
  const gone = answering("");
  await gone[Symbol.asyncDispose]();
  await using proxy = new Proxy([gone.port]);
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  // What the daemon does when it sees the exit.
  await until("the first try", () => proxy.gate.held === 1 || proxy.front.requests === 1);
  proxy.gate.hold(60_000);
  await until("it waits", () => proxy.gate.waiting === 1);
  await using program = answering(() => ok("restarted"));
  proxy.set.add(proxy.upstream("web-0", program.port));
  proxy.gate.open();
  assertEquals((await client.message()).body, "restarted");
  for (const upstream of proxy.set.list()) upstream.close();
});

Deno.test("http edge: bytes behind an answer spoil the connection, not the next answer", async () => {
  await using program = answering(() => ok("fine") + "HTTP/1.1 200 OK\r\nX-Split: 1\r\n\r\n");
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  for (let i = 0; i < 3; i++) {
    await client.request("GET / HTTP/1.1", "Host: x");
    const answer = await client.message();
    assertEquals([answer.body, answer.get("x-split")], ["fine", undefined]);
  }
  assertEquals(program.accepted, 3);
});

Deno.test("http edge: a cut drain: 503 where no answer began, cut where one did", async () => {
  const arrived = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using program = new RawServer(async (peer, index) => {
    await peer.until("\r\n\r\n");
    if (index === 1) await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    arrived[index].resolve();
    await peer.ended();
  });
  await using proxy = new Proxy([program.port]);
  using waiting = await proxy.connect();
  await waiting.request("GET / HTTP/1.1", "Host: x");
  await arrived[0].promise;
  using reading = await proxy.connect();
  await reading.request("GET / HTTP/1.1", "Host: x");
  await reading.until("half");
  const draining = proxy.gate.swap(undefined);
  assertEquals(draining.held, 2);
  draining.cut();
  assertEquals((await waiting.message()).status, 503);
  assertEquals(await reading.rest(), "");
  await draining.idle;
});

Deno.test("http edge: a client that leaves in mid-answer ends the program's request", async () => {
  const left = Promise.withResolvers<void>();
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    await peer.ended();
    left.resolve();
  });
  await using proxy = new Proxy([program.port]);
  const client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await client.until("hello");
  client.close();
  await left.promise;
  await proxy.quiet();
});
