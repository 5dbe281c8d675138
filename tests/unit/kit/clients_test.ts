/** The kit's clients against a program that fails in known ways: a count that lies would hide bugs. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { freePort } from "../../kit/ports.ts";
import { startLoad } from "../../kit/load.ts";
import { AnswerReader, Broken } from "../../kit/response.ts";
import { spawnWeb } from "../../kit/spawned.ts";
import { openEcho, openEvents } from "../../kit/streams.ts";

Deno.test("load counts good answers by version", async () => {
  await using web = await spawnWeb({ version: "v7" });
  for (const mode of ["keep-alive", "close"] as const) {
    const load = startLoad({ port: web.port, connections: 2, mode });
    await load.answers(50, "v7");
    const report = await load.stop();
    assertEquals(report.failed, 0, report.text);
    assert(report.ok >= 50);
    assertEquals(report.order, ["v7"]);
    assertEquals(report.versions.get("v7"), report.ok);
    assert(report.slowest > 0);
  }
});

for (
  const [path, flaw, name] of [
    ["/close", "eof", "an answer that never came"],
    ["/download?bytes=100000&cut=5000", "partial", "a body cut short"],
    ["/download?bytes=100000&cut=5000&chunked=1", "partial", "a chunked body cut short"],
    ["/raw?text=nonsense%0a%0a", "garbled", "an answer that is no HTTP"],
  ] as const
) {
  Deno.test(`load counts ${name} as ${flaw}`, async () => {
    await using web = await spawnWeb();
    const load = startLoad({ port: web.port, connections: 1, path, every: 1 });
    const report = await failing(load);
    assertEquals(report.ok, 0, report.text);
    assertEquals(report.flaws[flaw], report.failed, report.text);
  });
}

/** Stops load that gets no good answer, after its first failure. */
async function failing(load: ReturnType<typeof startLoad>) {
  // stop() lets the request in flight end, so one outcome is certain.
  const report = await load.stop();
  assert(report.failed > 0, report.text);
  return report;
}

Deno.test("load counts bad statuses, refusals and time-outs apart", async () => {
  await using web = await spawnWeb();
  const bad = await failing(
    startLoad({ port: web.port, connections: 1, path: "/status?code=502" }),
  );
  assertEquals([...bad.statuses.keys()], [502]);
  assertEquals(bad.failed, bad.statuses.get(502));
  const nobody = await failing(startLoad({ port: freePort(), connections: 1 }));
  assertEquals(nobody.flaws.refused, nobody.failed, nobody.text);
  const late = await failing(
    startLoad({ port: web.port, connections: 1, path: "/hang", timeout: 50 }),
  );
  assertEquals(late.flaws.timeout, late.failed, late.text);
});

Deno.test("load counts a reset", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const load = startLoad({ port, connections: 1 });
  // Begun later, so when it is through the load's connection waits in the queue too. A listener
  // that closes resets what waits in its queue.
  const later = await Deno.connect({ hostname: "127.0.0.1", port });
  listener.close();
  const report = await failing(load);
  later.close();
  assertEquals(report.flaws.reset, 1, report.text);
});

Deno.test("an answer's body is read by length, by chunks, with trailers and to the end", async () => {
  await using web = await spawnWeb({ version: "v1" });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: web.port });
  using _ = conn;
  const reader = new AnswerReader(conn);
  const ask = async (path: string, method = "GET") => {
    await conn.write(new TextEncoder().encode(`${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`));
    const answer = await reader.answer(method);
    return { ...answer, text: new TextDecoder().decode(answer.body) };
  };
  assertEquals((await ask("/")).text, "v1\n");
  assertEquals((await ask("/", "HEAD")).text, "");
  assertEquals((await ask("/trailers")).text, "hello");
  assertEquals((await ask("/hints")).text, "v1\n");
  assertEquals((await ask("/status?code=204")).status, 204);
  assertEquals((await ask("/download?bytes=300000")).body.length, 300_000);
  assertEquals((await ask("/download?bytes=300000&chunked=1")).body.length, 300_000);
  const unmarked = await ask("/raw?text=HTTP/1.1%20200%20OK%0d%0a%0d%0aall");
  assertEquals(unmarked.text, "all");
  assertEquals(unmarked.reusable, false);
  await assertRejects(() => reader.answer(), Broken, "eof");
});

Deno.test("an echo socket sees every message come back, and how the connection ended", async () => {
  await using web = await spawnWeb();
  const socket = await openEcho(web.port);
  await socket.echoes(20);
  const end = await socket.close();
  assertEquals([end.code, end.wrong], [1000, 0]);
  assert(end.echoed >= 20);
  const cut = await openEcho(web.port);
  await cut.echoes(1);
  web.kill("SIGKILL");
  assertEquals((await cut.ended()).code, 1006);
});

Deno.test("an event reader tells a complete stream from a cut one", async () => {
  await using web = await spawnWeb({ version: "v3" });
  const whole = await openEvents(web.port, "/events?every=1&count=5");
  assertEquals(await whole.ended(), { events: 5, gaps: 0, version: "v3", how: "complete" });
  const left = await openEvents(web.port, "/events?every=1");
  await left.more(3);
  assertEquals((await left.close()).how, "ours");
  const cut = await openEvents(web.port, "/events?every=1");
  await cut.more(3);
  web.kill("SIGKILL");
  const { how, gaps } = await cut.ended();
  assert(how === "partial" || how === "reset", how);
  assertEquals(gaps, 0);
});
