/** The PHP workers that other tests and the benchmarks run speak the protocol themselves. */

import { assertEquals, assertMatch } from "@std/assert";
import { Fifo } from "../../kit/gate.ts";
import { Scratch } from "../../kit/scratch.ts";
import { get, hex, RELAYS, request, Worker } from "./kit.ts";

const STREAM = 0x01;
const STOP = "13 00 00 00 00 00 96 d1 80 34 02 00";

async function ready(name: string, options = {}): Promise<Worker> {
  const worker = await Worker.start(name, options);
  assertEquals(await worker.hello(), worker.pid);
  return worker;
}

function ask(worker: Worker, path: string, rawQuery = "", body = "") {
  return worker.ask(get(path, { rawQuery }, body));
}

for (const relay of RELAYS) {
  Deno.test(`PHP over ${relay}: handshake, request, large body, stop`, async () => {
    await using worker = await ready("http_worker.php", { relay });
    assertEquals((await ask(worker, "/")).body, "ok");
    const body = "0123456789".repeat(30_000);
    const echo = JSON.parse((await ask(worker, "/echo", "", body)).body);
    assertEquals([echo.flags, atob(echo.body), echo.pid], [0x08, body, worker.pid]);
    assertEquals((await ask(worker, "/body", "bytes=300000")).body, body);
    assertEquals(await worker.stop(), 0);
  });
}

Deno.test("PHP answers protobuf in protobuf, or always", async () => {
  const message = hex(`
    0a 09 31 32 37 2e 30 2e 30 2e 31 12 08 48 54 54 50 2f 31 2e 31 1a 03 47 45 54
    22 15 68 74 74 70 3a 2f 2f 6c 6f 63 61 6c 68 6f 73 74 2f 3f 61 3d 31
    2a 13 0a 04 48 6f 73 74 12 0b 0a 09 6c 6f 63 61 6c 68 6f 73 74 3a 03 61 3d 31`);
  await using asAsked = await ready("http_worker.php");
  assertEquals(
    (await asAsked.ask(request(0x80, message))).hex.replace(/^(.. ){16}/, ""),
    "08 c8 01 6f 6b",
  );
  await using always = await ready("http_proto_worker.php");
  const { flags, body } = await ask(always, "/");
  assertEquals([flags, body], [0x80, "ok"]);
});

Deno.test("PHP streams through gates, stops when told, and goes on", async () => {
  using scratch = new Scratch();
  await using gate = new Fifo(scratch.path("gate"));
  await using told = new Fifo(scratch.path("told"));
  await using worker = await ready("http_worker.php");
  const query = `n=9&gate=${gate.path}&told=${told.path}`;
  const first = await ask(worker, "/stream", query);
  assertEquals([first.body, first.bits], ["chunk 1\n", STREAM]);
  gate.release();
  assertEquals((await worker.frame()).body, "chunk 2\n");
  await worker.send(hex(STOP));
  gate.release();
  assertEquals(await told.line(), "stopped 3");
  assertEquals((await worker.frame()).bits, 0);
  // Two at once at one gate: a worker takes only its own.
  gate.release(2);
  const again = ask(worker, "/wait", `gate=${gate.path}&told=${told.path}`);
  assertEquals(await told.line(), String(worker.pid));
  assertEquals((await again).body, "waited");
  assertEquals((await ask(worker, "/wait", `gate=${gate.path}`)).body, "waited");
});

Deno.test("PHP misbehaves as it is asked to", async () => {
  using scratch = new Scratch();
  await using worker = await ready("http_worker.php");
  assertEquals((await ask(worker, "/error", "text=no")).flags, 0x40);
  assertEquals((await ask(worker, "/status", "code=418")).context, '{"status":418,"headers":{}}');
  const once = `once=${scratch.path("once")}`;
  assertEquals((await ask(worker, "/stop", once)).context, '{"stop":true}');
  assertEquals((await ask(worker, "/stop", once)).body, String(worker.pid));
  assertEquals((await ask(worker, "/twice")).body, "first");
  assertEquals((await worker.frame()).body, "second");
  await ask(worker, "/stderr", "text=oops");
  await worker.printed(/^oops$/m);
  await worker.send(get("/exit", { rawQuery: "code=7" }));
  assertEquals(await worker.ended(), 7);

  await using hello = await ready("hello.php");
  const { context, body } = await ask(hello, "/");
  assertMatch(context, /"status":200/);
  assertEquals(body, "Hello, world!");
});
