/**
 * A program ends, and a stranger has its port before the end is seen: the stranger's kernel takes
 * connections that nobody will ever answer.
 */

import { assertEquals } from "@std/assert";
import { ManualClock, turn } from "../../kit/manual_clock.ts";
import { RawServer } from "../../kit/raw_http.ts";
import { until } from "../../kit/wait.ts";
import { answering, ok, Proxy } from "./proxy_kit.ts";

/** Longer than the grace, and two ticks of the sweeper. */
const AFTER_GRACE = 1000;

/** Accepts, reads, and never says a word. */
function mute(): RawServer {
  return new RawServer(async (peer) => void await peer.rest());
}

Deno.test("http: a GET that a stranger took is answered by the program that comes back", async () => {
  const clock = new ManualClock();
  await using stranger = mute();
  await using program = answering(ok("back"));
  await using proxy = new Proxy([stranger.port], { clock });
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await until("the stranger has it", () => stranger.open === 1);

  const [upstream] = proxy.set.list();
  proxy.gate.hold(60_000);
  upstream.ended();
  await clock.advance(AFTER_GRACE);
  await until("the stranger lost it", () => stranger.open === 0);
  proxy.set.add(proxy.upstream(upstream.instance, program.port));
  proxy.gate.open();
  assertEquals((await client.message()).body, "back");
  assertEquals(proxy.told("proxy_error"), []);
});

Deno.test("http: a GET that broke with the program and then met a stranger is answered still", async () => {
  const clock = new ManualClock();
  // The first connection is the program's, and breaks under its second request; the next a stranger's.
  await using port = new RawServer(async (peer, index) => {
    if (index > 0) return void await peer.rest();
    await peer.until("\r\n\r\n");
    await peer.send(ok("first"));
    await peer.until("\r\n\r\n");
  });
  await using program = answering(ok("back"));
  await using proxy = new Proxy([port.port], { clock });
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  assertEquals((await client.message()).body, "first");
  await client.request("GET / HTTP/1.1", "Host: x");
  await until("the stranger has it", async () => {
    await clock.advance(10);
    return port.accepted === 2;
  });

  const [upstream] = proxy.set.list();
  proxy.gate.hold(60_000);
  upstream.ended();
  await clock.advance(AFTER_GRACE);
  proxy.set.add(proxy.upstream(upstream.instance, program.port));
  proxy.gate.open();
  assertEquals((await client.message()).body, "back");
});

Deno.test("http: a POST that a stranger took is 502 with the reason, and not sent again", async () => {
  const clock = new ManualClock();
  await using stranger = mute();
  await using proxy = new Proxy([stranger.port], { clock });
  using client = await proxy.connect();
  await client.request("POST / HTTP/1.1", "Host: x", "Content-Length: 2");
  await client.send("ab");
  await until("the stranger has it", () => stranger.open === 1);
  proxy.set.list()[0].ended();
  await clock.advance(AFTER_GRACE);
  assertEquals((await client.message()).status, 502);
  assertEquals(proxy.told("proxy_error").map(({ error }) => error), [
    "the program ended before it answered",
  ]);
  assertEquals(stranger.accepted, 1);
});

Deno.test("http: an answer that had begun, or comes within the grace, is delivered", async () => {
  const clock = new ManualClock();
  const halves: (() => Promise<void>)[] = [];
  await using program = new RawServer(async (peer) => {
    const head = await peer.until("\r\n\r\n");
    const begun = head.includes("/begun");
    if (begun) await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
    halves.push(() => peer.send(begun ? "lf" : ok("late")));
    await peer.rest();
  });
  await using proxy = new Proxy([program.port], { clock });
  const [upstream] = proxy.set.list();
  for (
    const [path, body, wait] of [["/begun", "half", AFTER_GRACE], ["/late", "late", 0]] as const
  ) {
    upstream.ready = true;
    using client = await proxy.connect();
    await client.request(`GET ${path} HTTP/1.1`, "Host: x");
    await until("it is with the program", () => halves.length === 1);
    if (path === "/begun") await client.until("ha");
    upstream.ended();
    await clock.advance(wait);
    await halves.pop()!();
    if (path === "/begun") assertEquals(await client.bytes(2), "lf");
    else assertEquals((await client.message()).body, body);
    await until("the connection is not kept", () => upstream.connections === 0);
  }
});

Deno.test("http: idle connections of a program that ended are closed at once", async () => {
  const clock = new ManualClock();
  await using program = answering(ok("x"));
  await using proxy = new Proxy([program.port], { clock });
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await client.message();
  const [upstream] = proxy.set.list();
  await until("it is pooled", () => upstream.idle === 1);
  upstream.ended();
  assertEquals([upstream.idle, upstream.connections], [0, 0]);
});

Deno.test("http: a connection that was being made when the program ended is not used", async () => {
  const clock = new ManualClock();
  await using stranger = mute();
  await using proxy = new Proxy([stranger.port], { clock });
  const [upstream] = proxy.set.list();
  const connecting = upstream.connect(0).then(() => "connected", (error) => error.message);
  upstream.ended();
  assertEquals(await connecting, "the program ended meanwhile");
  await turn();
  assertEquals(upstream.connections, 0);
});
