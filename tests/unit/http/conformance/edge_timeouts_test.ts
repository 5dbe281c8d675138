/** Time limits of the raw front and of forwarding, with a clock moved by hand. */

import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../../kit/manual_clock.ts";
import { RawServer } from "../../../kit/raw_http.ts";
import { until } from "../../../kit/wait.ts";
import { answering, ok, Proxy } from "../proxy_kit.ts";

/** Lets time pass while sockets get their turn. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 250) await clock.advance(Math.min(250, left));
}

Deno.test("http edge: half a head gets 408 after the header timeout, not before", async () => {
  const clock = new ManualClock();
  await using proxy = new Proxy([], { clock });
  using client = await proxy.connect();
  await client.send("GET / HTTP/1.1\r\nHost:");
  await until("the bytes arrived", () => proxy.front.connections === 1);
  const answer = client.message();
  let answered = false;
  answer.then(() => answered = true);
  await pass(clock, 9000);
  assert(!answered);
  // Bytes that trickle in do not win time.
  await client.send(" x\r\nX-Slow");
  await until("it was answered", async () => {
    await pass(clock, 500);
    return answered;
  });
  assertEquals((await answer).status, 408);
  const ended = client.ended();
  await pass(clock, 3000);
  assertEquals(await ended, "end");
});

Deno.test("http edge: a silent connection is closed without a word at the idle limit", async () => {
  const clock = new ManualClock();
  await using program = answering(() => ok("hi"));
  await using proxy = new Proxy([program.port], { clock });
  using silent = await proxy.connect();
  using used = await proxy.connect();
  await used.request("GET / HTTP/1.1", "Host: x");
  assertEquals((await used.message()).body, "hi");
  await until("both are open", () => proxy.front.connections === 2);
  await pass(clock, 74_000);
  assertEquals(proxy.front.connections, 2);
  await pass(clock, 3000);
  assertEquals([await silent.rest(), await used.rest()], ["", ""]);
  assertEquals(proxy.front.connections, 0);
});

Deno.test("http edge: a body that stops coming gets 408 and ends the program's request", async () => {
  const clock = new ManualClock();
  const seen = Promise.withResolvers<void>();
  const left = Promise.withResolvers<string>();
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\nhalf");
    seen.resolve();
    left.resolve(await peer.ended());
  });
  await using proxy = new Proxy([program.port], { clock });
  using client = await proxy.connect();
  await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
  await seen.promise;
  const answer = client.message();
  await pass(clock, 77_000);
  assertEquals((await answer).status, 408);
  await left.promise;
  const ended = client.ended();
  await pass(clock, 3000);
  await ended;
});

Deno.test("http edge: a program that does not answer in time: 504, its connection closed", async () => {
  const clock = new ManualClock();
  const seen = Promise.withResolvers<void>();
  const left = Promise.withResolvers<string>();
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    seen.resolve();
    left.resolve(await peer.ended());
  });
  await using proxy = new Proxy([program.port], { clock });
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await seen.promise;
  const answer = client.message();
  await pass(clock, 61_000);
  assertEquals((await answer).status, 504);
  await left.promise;
});

Deno.test("http edge: a client that takes nothing is cut at the send limit, and so the program", async () => {
  const clock = new ManualClock();
  const left = Promise.withResolvers<void>();
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    const block = new Uint8Array(1 << 20);
    try {
      for (;;) await peer.send(block);
    } catch {
      left.resolve();
    }
  });
  await using proxy = new Proxy([program.port], { clock });
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await client.head();
  let done = false;
  left.promise.then(() => done = true);
  await until("the write stalls and is cut", async () => {
    await pass(clock, 5000);
    return done;
  });
  await until("nothing of it is held", async () => {
    await pass(clock, 1000);
    return proxy.front.connections === 0;
  });
});

Deno.test("http edge: pooled connections are closed before the program would", async () => {
  const clock = new ManualClock();
  await using program = answering(() => ok("", "Keep-Alive: timeout=10"));
  await using proxy = new Proxy([program.port], { clock });
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await client.message();
  const [upstream] = proxy.set.list();
  assertEquals(upstream.idle, 1);
  await pass(clock, 8500);
  assertEquals(upstream.idle, 1);
  await pass(clock, 1000);
  assertEquals([upstream.idle, upstream.connections], [0, 0]);
});

Deno.test("http edge: no timer runs while there is no connection", async () => {
  const clock = new ManualClock();
  await using program = answering(() => ok("", "Connection: close"));
  await using proxy = new Proxy([program.port], { clock });
  assertEquals(clock.pending, 0);
  const client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await client.message();
  assertEquals(clock.pending, 1);
  client.close();
  await until("it is gone", () => proxy.front.connections === 0);
  assertEquals(clock.pending, 0);
});

Deno.test("http edge: drain closes idle connections after a second and cuts the rest at the end", async () => {
  const clock = new ManualClock();
  const seen = Promise.withResolvers<void>();
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    seen.resolve();
    await peer.ended();
  });
  await using proxy = new Proxy([program.port], { clock });
  using idle = await proxy.connect();
  using busy = await proxy.connect();
  await busy.request("GET / HTTP/1.1", "Host: x");
  await seen.promise;
  await until("both are open", () => proxy.front.connections === 2);
  const drained = proxy.front.drain(5000);
  await pass(clock, 2000);
  assertEquals(await idle.ended(), "end");
  assertEquals(proxy.front.connections, 1);
  await pass(clock, 4000);
  assertEquals(await drained, { cut: 1 });
});
