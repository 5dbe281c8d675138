/** Streams: on their way while they are made, stopped when their client leaves, never ended wrong. */

import { assertEquals } from "@std/assert";
import type { Daemon } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { ask, httpTest, route, sendRequest, type Site } from "../kit/http_workers.ts";
import { bytesOf } from "../kit/raw_http.ts";

/** A gate that a stream waits at, and where it tells that it was stopped. */
class Gates implements AsyncDisposable {
  readonly gate: Fifo;
  readonly told: Fifo;

  constructor(daemon: Daemon) {
    this.gate = new Fifo(daemon.path("gate"));
    this.told = new Fifo(daemon.path("told"));
  }

  /** `/stream` that waits at the gate before each chunk but the first. */
  path(query: Record<string, string | number>): string {
    return route("/stream", { gate: this.gate.path, told: this.told.path, ...query });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gate[Symbol.asyncDispose]();
    await this.told[Symbol.asyncDispose]();
  }
}

async function pidOf(site: Site): Promise<string> {
  return (await site.ask("GET /pid")).body;
}

for (const encoding of ["json", "protobuf"] as const) {
  httpTest(`${encoding}: a chunk arrives before the next is made`, {
    http: { encoding },
  }, async (site) => {
    await using gates = new Gates(site.daemon);
    using client = await site.connect();
    await sendRequest(client, `GET ${gates.path({ n: 20 })}`);
    await client.until("chunk 1\n\r\n");
    for (let i = 2; i <= 20; i++) {
      gates.gate.release();
      await client.until(`chunk ${i}\n\r\n`);
    }
    await client.until("0\r\n\r\n");
    assertEquals((await ask(client, "GET /")).body, "ok");
  });
}

httpTest("a client that leaves: the worker is told, and serves the next", {}, async (site) => {
  const pid = await pidOf(site);
  await using gates = new Gates(site.daemon);
  const client = await site.connect();
  await sendRequest(client, `GET ${gates.path({ n: 1000 })}`);
  await client.until("chunk 1\n");
  client.close();
  await site.daemon.statusUntil("the client to be gone", ({ intakes }) => {
    return intakes.find(({ name }) => name === "http")?.connections === 0;
  });
  gates.gate.release();
  assertEquals(await gates.told.line(), "stopped 2");
  assertEquals(await pidOf(site), pid);
  assertEquals(await site.told("request_failed"), []);
});

httpTest("server-sent events through gzip: each event at once", {
  http: { middleware: ["gzip"] },
}, async (site) => {
  await using gates = new Gates(site.daemon);
  using client = await site.connect();
  const path = gates.path({ n: 3, type: "text/event-stream" });
  await sendRequest(client, `GET ${path}`, ["Accept-Encoding: gzip"]);
  const head = await client.head();
  assertEquals([head.get("content-encoding"), head.get("content-type")], [
    "gzip",
    "text/event-stream",
  ]);
  const unpacking = new DecompressionStream("gzip");
  const writer = unpacking.writable.getWriter();
  const texts = unpacking.readable.pipeThrough(new TextDecoderStream()).getReader();
  for (let i = 1; i <= 3; i++) {
    let text = "";
    while (!text.includes(`chunk ${i}\n`)) {
      const size = parseInt(await client.until("\r\n"), 16);
      await writer.write(bytesOf(await client.bytes(size)).slice());
      await client.bytes(2);
      text += (await texts.read()).value ?? "";
    }
    gates.gate.release();
  }
  // The end of the stream, and of what is packed.
  const rest = await client.until("0\r\n\r\n");
  assertEquals(rest.endsWith("\r\n0\r\n\r\n") || rest === "0\r\n\r\n", true);
  await writer.abort().catch(() => {});
  await texts.cancel().catch(() => {});
});

for (const end of ["error", "exit", "kill"] as const) {
  httpTest(`a stream that breaks by ${end} never ends well for its client`, {}, async (site) => {
    const pid = await pidOf(site);
    await using gates = new Gates(site.daemon);
    using client = await site.connect();
    await sendRequest(client, `GET ${gates.path({ n: 2, end })}`);
    await client.until("chunk 1\n\r\n");
    gates.gate.release();
    const rest = await client.rest();
    assertEquals(rest.includes("0\r\n\r\n"), false, rest);
    const { status, error } = await site.tells("request_failed");
    assertEquals([status, String(error).startsWith("inside its answer: ")], [null, true]);
    // Where it stands after that is anybody's guess: another one takes over.
    assertEquals(await pidOf(site) === pid, false);
  });
}
