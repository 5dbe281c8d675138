/**
 * Clients that reset and programs that die at random moments: afterwards nothing is held, nothing is
 * open, and the front still serves.
 */

import { assertEquals } from "@std/assert";
import { Random } from "../../kit/random.ts";
import { type RawPeer, RawServer } from "../../kit/raw_http.ts";
import { until } from "../../kit/wait.ts";
import { ok, Proxy } from "./proxy_kit.ts";

const CLIENTS = 24;
const ROUNDS = 10;

/** One answer of a program that may break at any point of it. */
async function misbehave(peer: RawPeer, random: Random): Promise<void> {
  const head = await peer.until("\r\n\r\n");
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  if (random.chance(0.1)) return peer.close();
  await peer.bytes(random.chance(0.2) ? Math.floor(length / 2) : length);
  const body = "b".repeat(random.pick([0, 10, 5_000, 200_000]));
  const answer = random.pick([
    ok(body),
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${
      body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`
    }0\r\n\r\n`,
    `HTTP/1.1 103 Hints\r\n\r\n${ok(body)}`,
    "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\ntunnel" + body,
    "nonsense\r\n\r\n",
  ]);
  if (random.chance(0.2)) {
    await peer.send(answer.slice(0, random.int(0, answer.length)));
    return peer.close();
  }
  await peer.send(answer);
}

/** One client that may leave at any point. */
async function visit(proxy: Proxy, random: Random): Promise<void> {
  const client = await proxy.connect();
  try {
    for (let i = random.int(1, 4); i > 0; i--) {
      const length = random.pick([0, 0, 10, 100_000]);
      const request = `${random.pick(["GET", "POST", "HEAD"])} /x HTTP/1.1\r\nHost: x\r\n` +
        (random.chance(0.2) ? "Connection: Upgrade\r\nUpgrade: x\r\n" : "") +
        `Content-Length: ${length}\r\n\r\n${"u".repeat(length)}`;
      if (random.chance(0.2)) {
        await client.send(request.slice(0, random.int(1, request.length)));
        return;
      }
      await client.send(request);
      if (random.chance(0.3)) return;
      await client.conn.read(new Uint8Array(random.pick([1, 100, 100_000])));
    }
  } catch {
    // Cut by the front or its program: what this test is about.
  } finally {
    client.close();
  }
}

Deno.test("chaos: resets and deaths leave nothing behind", async () => {
  const random = new Random(Number(Deno.env.get("PROPERTY_SEED") ?? 7));
  const programs = Array.from({ length: 3 }, () =>
    new RawServer(async (peer) => {
      for (;;) await misbehave(peer, random);
    }));
  {
    await using proxy = new Proxy(programs.map((program) => program.port), {
      settings: { timeouts: { connect: 1000, response: 500, send: 1000 } },
    });
    for (let round = 0; round < ROUNDS; round++) {
      const visits = Array.from({ length: CLIENTS }, () => visit(proxy, random));
      if (round % 5 === 4) {
        // A deploy in the middle of it: the old target is cut while requests are under way.
        const old = proxy.gate.swap(proxy.set);
        old.cut();
        await old.idle;
      }
      await Promise.all(visits);
    }
    await proxy.quiet();
    await until("no client connection", () => proxy.front.connections === 0);
    for (const upstream of proxy.set.list()) {
      assertEquals(upstream.connections, upstream.idle, "busy connections without a request");
    }
  }
  for (const program of programs) {
    await until("no connection at the program", () => program.open === 0);
    await program[Symbol.asyncDispose]();
  }
});
