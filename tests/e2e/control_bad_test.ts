/**
 * Control clients that misbehave: each is answered with what is wrong or let go, none holds anybody
 * else up.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { program, webProcess } from "../kit/programs.ts";
import { RawPeer } from "../kit/raw_http.ts";

const CONFIG = { processes: { worker: { command: program("worker.sh") } } };

/** A bare connection to the control socket. */
async function connect(d: Daemon): Promise<RawPeer> {
  return new RawPeer(await Deno.connect({ transport: "unix", path: d.socket }));
}

/** The daemon answers others and nothing unexpected happened in it. */
async function unharmed(d: Daemon): Promise<void> {
  assertEquals((await d.ok("status", "--json")).json().state, "running");
  const wrong = (await d.events()).filter(({ event }) => event === "internal_error");
  assertEquals(wrong, []);
}

daemonTest("garbage, half requests and readers that never read", { config: CONFIG }, async (d) => {
  using garbage = await connect(d);
  await garbage.send("\x00\x01\x02 what is this\r\n\r\n");
  assertMatch(await garbage.rest(), /^(HTTP\/1\.1 400|$)/);

  // Neither of these is answered; nobody else waits for them.
  using half = await connect(d);
  await half.send("POST /v1/deploy HTTP/1.1\r\nHost: x\r\nContent-Le");
  using body = await connect(d);
  await body.send('POST /v1/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"rel');
  const silent = [];
  for (let i = 0; i < 20; i++) silent.push(await connect(d));

  // Followers that never read, while much is told.
  const deaf = [];
  for (let i = 0; i < 10; i++) {
    const peer = await connect(d);
    await peer.request("GET /v1/events?follow=1&limit=1000 HTTP/1.1", "Host: x");
    deaf.push(peer);
  }
  await d.deploy("v1");
  for (let i = 0; i < 5; i++) await d.ok("restart");
  await unharmed(d);
  for (const peer of [...silent, ...deaf]) peer.close();
  half.close();
  body.close();
  // Shutdown waits for none of them.
  using open = await connect(d);
  await open.send("GET /v1/sta");
  await d.ok("shutdown");
  assertEquals((await d.ended()).code, 0);
});

daemonTest("requests that are wrong say what is wrong with them", { config: CONFIG }, async (d) => {
  const ask = async (method: string, path: string, body?: BodyInit) => {
    const response = await d.api(path, { method, body });
    const json = await response.json();
    assertEquals(json.status, "error", path);
    assertEquals(typeof json.exit, "number");
    assert(!/\bat .*:\d+:\d+/.test(JSON.stringify(json)), "no stack trace");
    return { http: response.status, text: `${json.error}\n${json.fix ?? ""}` };
  };
  const check = async (
    expected: number,
    words: RegExp,
    ...[method, path, body]: [string, string, BodyInit?]
  ) => {
    const { http, text } = await ask(method, path, body);
    assertEquals(http, expected, `${path} ${text}`);
    assertMatch(text, words);
  };
  await check(400, /JSON/, "POST", "/v1/deploy", "{half");
  await check(400, /object/, "POST", "/v1/deploy", "[1]");
  await check(400, /"relase_path".*release_path/s, "POST", "/v1/deploy", '{"relase_path":"/x"}');
  await check(400, /release_path/, "POST", "/v1/deploy", "{}");
  await check(
    400,
    /absolute.*"releases\/v1"/,
    "POST",
    "/v1/deploy",
    '{"release_path":"releases/v1"}',
  );
  await check(400, /release_path/, "POST", "/v1/deploy", '{"release_path":7}');
  await check(400, /count/, "POST", "/v1/scale", '{"name":"worker","count":"two"}');
  await check(400, /limit/, "GET", "/v1/events?limit=many");
  await check(400, /lmit.*limit/s, "GET", "/v1/events?lmit=1");
  await check(404, /v1\/stauts/, "GET", "/v1/stauts");
  await check(405, /POST/, "GET", "/v1/deploy");
  await unharmed(d);
});

daemonTest(
  "a body of 2 MB is refused, whether it says so or not",
  { config: CONFIG },
  async (d) => {
    const big = JSON.stringify({ release_path: `/${"x".repeat(2_000_000)}` });
    for (const length of [`Content-Length: ${big.length}`, "Transfer-Encoding: chunked"]) {
      using peer = await connect(d);
      await peer.request("POST /v1/deploy HTTP/1.1", "Host: x", length);
      const text = length.startsWith("C")
        ? big
        : `${big.length.toString(16)}\r\n${big}\r\n0\r\n\r\n`;
      // The answer comes before the end of it; the rest may meet a closed connection.
      const sending = peer.send(text).catch(() => {});
      const answer = await peer.message();
      assertEquals(answer.status, 413);
      assertMatch(JSON.parse(answer.body).error, /1 MiB|1048576|too large|longer/);
      peer.close();
      await sending;
    }
    await unharmed(d);
  },
);

daemonTest(
  "a client that leaves in mid-deploy: the deploy goes on, and others see how it ends",
  { config: { proxy: {}, processes: { web: webProcess() } } },
  async (d) => {
    await using gate = new Fifo(d.path("gate"));
    await d.deploy("v1");
    const path = d.release("v2", { start_gate: gate.path });
    const body = JSON.stringify({ release_path: path, release_id: "v2" });
    const peer = await connect(d);
    await peer.send(
      `POST /v1/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await peer.until('"step":"building"');
    peer.close();
    const { operation } = await d.status();
    assertMatch(operation!.name, /deploy/);
    gate.release();
    await d.event("deploy_finished", ({ data }) => data.release === "v2");
    assertEquals((await d.get()).text, "v2\n");
    await unharmed(d);
  },
);
