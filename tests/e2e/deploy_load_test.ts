/**
 * Deploys and rollbacks while clients are at work: no request fails, no stream has a gap, and what
 * takes long is finished by the release that began it.
 */

import { assert, assertEquals } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { deploy, rollback } from "../kit/deploying.ts";
import { startLoad } from "../kit/load.ts";
import { webProcess } from "../kit/programs.ts";
import { AnswerReader } from "../kit/response.ts";
import { type EventReader, openEcho, openEvents } from "../kit/streams.ts";

/** Deploys, and as many rollbacks. */
const ROUNDS = 10;

/** Bytes of a download that no socket buffer holds. */
const LARGE = 24 * 1024 * 1024;

const config = { proxy: { drain_timeout: "60s" }, processes: { web: webProcess() } };

daemonTest(
  "20 deploys and rollbacks under load fail no request and break no WebSocket or event stream early",
  { config: { ...config, proxy: { drain_timeout: "1s" } } },
  async (d) => {
    await deploy(d, "v0").live();
    const loads = [
      startLoad({ port: d.port, connections: 3, mode: "keep-alive", every: 1 }),
      startLoad({ port: d.port, connections: 2, mode: "close", every: 2 }),
      startLoad({
        port: d.port,
        connections: 1,
        method: "POST",
        path: "/upload",
        body: "x".repeat(100_000),
        every: 5,
      }),
    ];
    const ended = [];
    for (let round = 1; round <= ROUNDS; round++) {
      for (const swap of [() => deploy(d, `v${round}`), () => rollback(d)]) {
        const [socket, events] = await Promise.all([openEcho(d.port), openEvents(d.port)]);
        await Promise.all([socket.echoes(5), events.more(2)]);
        await swap().live();
        // Both stay with the release they began on, and it goes on working for them.
        await Promise.all([socket.echoes(1), events.more(1)]);
        ended.push({ socket, events });
      }
    }
    const live = (await d.status()).active_release_id;
    await Promise.all(loads.slice(0, 2).map((load) => load.answers(20)));
    for (const load of loads) {
      const report = await load.stop();
      assertEquals(report.failed, 0, report.text);
      assert(report.ok > 20, report.text);
    }
    assert(live !== null);
    for (const { socket, events } of ended) {
      const { code, wrong } = await socket.ended();
      assertEquals({ code, wrong }, { code: 1012, wrong: 0 });
      const { gaps, events: count } = await events.ended();
      assertEquals({ gaps, any: count >= 3 }, { gaps: 0, any: true });
    }
    const stopped = await d.statusUntil(
      "only one release to be left",
      ({ releases }) => releases.filter((one) => one.state !== "stopped").length === 1 && releases,
    );
    assert(stopped.every((one) => one.leases === 0 || one.release_id === live));
  },
);

daemonTest("tunnels and streams live until the drain ends", { config }, async (d) => {
  await deploy(d, "v1").live();
  const socket = await openEcho(d.port);
  const events = await openEvents(d.port);
  const deploying = deploy(d, "v2", {}, { wait: true });
  await deploying.step("draining");
  assertEquals((await d.get()).text.trim(), "v2");
  await Promise.all([socket.echoes(100), events.more(5)]);

  const draining = (await d.status()).releases.find((one) => one.release_id === "v1")!;
  assertEquals(draining.state, "draining");
  assertEquals(draining.connections, { http: 1, websocket: 1 });
  assertEquals(draining.leases, 2);
  assert((draining.drain_left_ms ?? 0) > 10_000, "the budget is the configured one");

  await d.ok("stop", "--release-id", "v1", "--now");
  const end = await socket.ended();
  assertEquals({ code: end.code, wrong: end.wrong }, { code: 1012, wrong: 0 });
  const { gaps, version } = await events.ended();
  assertEquals({ gaps, version }, { gaps: 0, version: "v1" });
  const result = await deploying.live();
  assertEquals(result.drained, true);
  assertEquals((await d.get()).text.trim(), "v2");
  assertEquals((await d.event("release_drained")).data.cut, 2);
});

daemonTest("without clients on it the old release is stopped at once", { config }, async (d) => {
  await deploy(d, "v1").live();
  const result = await deploy(d, "v2", {}, { wait: true }).live();
  assertEquals(result.drained, true);
  const { releases } = await d.status();
  assertEquals(releases.map(({ release_id, state }) => `${release_id} ${state}`), [
    "v1 stopped",
    "v2 active",
  ]);
});

daemonTest("a slow download and a slow upload end on the release they began on", {
  config,
}, async (d) => {
  await deploy(d, "v1").live();
  const download = await Client.open(d);
  await download.send(`GET /download?bytes=${LARGE} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const head = await download.reader.head();
  const upload = await Client.open(d);
  const half = new Uint8Array(LARGE / 4).fill(7);
  await upload.send(
    `POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: ${half.length * 2}\r\n\r\n`,
  );
  await upload.write(half);

  const deploying = deploy(d, "v2", {}, { wait: true });
  await deploying.step("draining");
  assertEquals((await d.get()).text.trim(), "v2");
  assertEquals((await d.status()).releases[0].leases, 2);

  let at = 0;
  let wrong = 0;
  await download.reader.body(head, "GET", (piece) => {
    for (const byte of piece) if (byte !== pattern(at++)) wrong++;
  });
  assertEquals({ bytes: at, wrong }, { bytes: LARGE, wrong: 0 });
  assertEquals(head.headers.get("x-version"), "v1");

  await upload.write(half);
  const answer = await upload.reader.answer("POST");
  const whole = new Uint8Array(half.length * 2).fill(7);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  assertEquals(JSON.parse(new TextDecoder().decode(answer.body)), {
    bytes: whole.length,
    sha256: digest.toHex(),
    trailers: [],
  });
  assertEquals(answer.headers.get("x-version"), "v1");
  assertEquals(answer.headers.get("connection"), "close", "a client of the old release is let go");
  assertEquals((await deploying.live()).drained, true);
  assertEquals((await d.event("release_drained")).data.cut, 0);
  download.close();
  upload.close();
});

daemonTest("a drain that is over cuts what is left; a shorter budget reaches one that is on", {
  config,
}, async (d) => {
  await deploy(d, "v1").live();
  const events: EventReader = await openEvents(d.port);
  await deploy(d, "v2").live();
  await events.more(2);
  // A shorter budget reaches the drain that is on.
  d.configure({ proxy: { drain_timeout: "1ms" }, processes: config.processes });
  await d.ok("reload");
  const { gaps, how } = await events.ended();
  assertEquals(gaps, 0);
  assert(how !== "complete", "an answer that was cut must not look whole");
  await d.event("release_stopped", ({ data }) => data.release === "v1");
});

/** A client that takes its time. */
class Client {
  private constructor(readonly conn: Deno.TcpConn, readonly reader: AnswerReader) {}

  static async open(d: Daemon): Promise<Client> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: d.port });
    return new Client(conn, new AnswerReader(conn));
  }

  send(text: string): Promise<void> {
    return this.write(new TextEncoder().encode(text));
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.conn.write(bytes.subarray(sent));
  }

  close(): void {
    this.conn.close();
  }
}

/** Byte of every download at a position (see fixtures/web.mjs). */
function pattern(at: number): number {
  return (at * 31 + (at >> 8)) & 255;
}
