/**
 * Clients and programs that behave badly, through the whole daemon: each gets a clear answer or a clean
 * cut, and the daemon serves the next one as if nothing had been.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { webProcess } from "../kit/programs.ts";
import { RawPeer } from "../kit/raw_http.ts";
import { until } from "../kit/wait.ts";

const CONFIG = {
  proxy: {
    timeouts: { header: "500ms", idle: "1s", response: "500ms", connect: "500ms" },
    hold: "0s",
  },
  processes: { web: webProcess({ restart: { delay: "10ms" }, graceful_stop: "200ms" }) },
};

/** Resets the connection: closing with something unread does that. */
async function reset(peer: RawPeer): Promise<void> {
  await peer.conn.read(new Uint8Array(1));
  peer.close();
}

/** The daemon serves, holds nothing, and nothing unexpected happened in it. */
async function unharmed(d: Daemon): Promise<void> {
  await d.statusUntil(
    "everything to be given back",
    ({ leases, proxy }) => leases === 0 && proxy!.connections === 0,
  );
  assertEquals((await d.get()).text, "v1\n");
  const wrong = (await d.events()).filter(({ event }) => event === "internal_error");
  assertEquals(wrong, []);
  assertEquals(d.running, true);
}

daemonTest(
  "clients that reset in the middle of an upgrade, with and without a release",
  { config: CONFIG },
  async (d) => {
    const offend = async () => {
      for (let i = 0; i < 20; i++) {
        const peer = await RawPeer.connect(d.port);
        await peer.request(
          "GET /echo HTTP/1.1",
          "Host: x",
          "Connection: Upgrade",
          "Upgrade: websocket",
          "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        );
        if (i % 2 === 0) await reset(peer);
        // The answer meets nobody and is answered with a reset.
        else peer.close();
      }
    };
    await offend();
    using before = await RawPeer.connect(d.port);
    await before.request("GET / HTTP/1.1", "Host: x", "Connection: close");
    assertEquals((await before.message()).status, 503);
    await d.deploy("v1");
    await offend();
    before.close();
    await unharmed(d);
  },
);

daemonTest(
  "requests that are none: 400, and the connection is closed",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    const bad: [string, ...string[]][] = [
      ["GET http://[bad/ HTTP/1.1", "Host: x"],
      ["GET / HTTP/1.1"],
      ["GET / HTTP/1.1", "Host: x", "Host: y"],
      ["GET / HTTP/1.1", "Host: x", "A: b", " folded"],
      ["GET / HTTP/1.1", "Host: x", "Space : b"],
      ["POST / HTTP/1.1", "Host: x", "Content-Length: 3", "Transfer-Encoding: chunked"],
      ["POST / HTTP/1.1", "Host: x", "Transfer-Encoding: gzip"],
      ["POST / HTTP/1.1", "Host: x", "Content-Length: -1"],
      ["\x16\x03\x01 nonsense"],
    ];
    for (const [line, ...fields] of bad) {
      using peer = await RawPeer.connect(d.port);
      await peer.request(line, ...fields);
      const answer = await peer.message();
      assertEquals(answer.status, 400, line);
      assertEquals(await peer.ended(), "end", line);
    }
    await unharmed(d);
  },
);

daemonTest(
  "an offer of h2c is ignored, HTTP/1.0 gets no chunks, HEAD no body",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    using h2c = await RawPeer.connect(d.port);
    await h2c.request(
      "GET / HTTP/1.1",
      "Host: x",
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    );
    const answer = await h2c.message();
    assertEquals([answer.status, answer.body], [200, "v1\n"]);

    await h2c.request("HEAD / HTTP/1.1", "Host: x");
    const head = await h2c.message("HEAD");
    assertEquals([head.status, head.get("content-length")], [200, "3"]);

    await h2c.request("GET / HTTP/1.1", "Host: x", "Connection: close");
    assertEquals((await h2c.message()).body, "v1\n", "nothing came after HEAD");
    assertEquals(await h2c.rest(), "");

    using old = await RawPeer.connect(d.port);
    await old.request("GET /events?every=1&count=3 HTTP/1.0");
    const stream = await old.head();
    assertEquals([stream.status, stream.get("transfer-encoding")], [200, undefined]);
    const body = await old.rest();
    assertEquals([...body.matchAll(/^id: (\d)$/gm)].map(([, id]) => id), ["1", "2", "3"]);
    assert(!/^[0-9a-f]+\r$/m.test(body), body);
    old.close();
    h2c.close();
    await unharmed(d);
  },
);

daemonTest(
  "half a head, half a body, and a body that is longer than said",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    using head = await RawPeer.connect(d.port);
    await head.send("GET / HTTP/1.1\r\nHost: x\r\nHalf");
    using body = await RawPeer.connect(d.port);
    await body.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort");
    for (const peer of [head, body]) {
      assertEquals((await peer.message()).status, 408);
      assertEquals(await peer.ended(), "end");
    }

    using gone = await RawPeer.connect(d.port);
    await gone.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort");
    gone.close();

    using longer = await RawPeer.connect(d.port);
    await longer.send(
      "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGARBAGE\r\n\r\n",
    );
    const first = await longer.message();
    assertEquals(JSON.parse(first.body).bytes, 2, "what was said, and not a byte more");
    assertEquals((await longer.message()).status, 400, "the rest is no request");
    assertEquals(await longer.ended(), "end");

    using chunks = await RawPeer.connect(d.port);
    await chunks.send(
      "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    );
    assertEquals((await chunks.message()).status, 400);
    for (const peer of [head, body, longer, chunks]) peer.close();
    await unharmed(d);
  },
);

daemonTest(
  "a program that dies inside its answer: the client is cut, not left hanging, not told a false end",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    for (const target of ["/crash?mid=1", "/download?bytes=100000&cut=50000&chunked=1"]) {
      using peer = await RawPeer.connect(d.port);
      await peer.request(`GET ${target} HTTP/1.1`, "Host: x");
      assertEquals((await peer.head()).status, 200);
      const rest = await peer.rest();
      assert(rest.length < 100_000 && !rest.endsWith("0\r\n\r\n"), target);
      await d.statusUntil(
        "the program to be back",
        ({ releases: [{ processes: [web] }] }) => web.healthy && web.restarts === 1,
      );
    }
    await d.event("proxy_error", ({ data }) => /inside its answer/.test(String(data.error)));
    await unharmed(d);
  },
);

daemonTest(
  "a client that leaves a stream: the program sees it",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    const { port } = (await d.status()).releases[0].processes[0];
    /** Connections to the program, as the kernel sees them. */
    const established = () =>
      Deno.readTextFileSync("/proc/net/tcp").split("\n").filter((line) => {
        const [, , remote, state] = line.trim().split(/\s+/);
        return state === "01" &&
          remote?.endsWith(`:${port!.toString(16).toUpperCase().padStart(4, "0")}`);
      }).length;
    const peers: RawPeer[] = [];
    for (let i = 0; i < 5; i++) {
      const peer = await RawPeer.connect(d.port);
      await peer.request("GET /events?every=5 HTTP/1.1", "Host: x");
      await peer.until("id: 3");
      peers.push(peer);
    }
    assert(established() >= 5);
    for (const peer of peers) peer.close();
    // The stream never ends by itself: only the client's going can end these connections.
    await until("no stream to be open", () => established() <= 1);
    await unharmed(d);
  },
);

daemonTest(
  "answers of our own: 502, 503, 504, as text and as JSON",
  { config: CONFIG },
  async (d) => {
    const ask = async (target: string, accept?: string) => {
      using peer = await RawPeer.connect(d.port);
      const fields = accept === undefined ? [] : [`Accept: ${accept}`];
      await peer.request(`POST ${target} HTTP/1.1`, "Host: x", "Content-Length: 0", ...fields);
      return await peer.message();
    };
    const check = async (status: number, target: string, words: RegExp) => {
      const text = await ask(target);
      assertEquals([text.status, text.get("content-type")?.split(";")[0]], [status, "text/plain"]);
      assertMatch(text.body, words);
      assertEquals(text.body.trim().split("\n").length, 1);
      const json = await ask(target, "application/json, text/plain;q=0.5");
      assertEquals(json.status, status);
      assertMatch(JSON.parse(json.body).error, words);
      for (const answer of [text, json]) {
        assertEquals(answer.get("retry-after") !== undefined, status === 503);
        assert(
          !/127\.0\.0\.1|:\d{4,5}|refused|os error/.test(answer.body),
          "nothing of the inside",
        );
      }
    };
    await check(503, "/", /no release is live/);
    await d.deploy("v1");
    await check(502, "/close", /could not be reached or gave no valid answer/);
    await check(502, `/raw?text=${encodeURIComponent("nonsense\r\n\r\n")}`, /no valid answer/);
    await check(504, "/hang", /did not answer in time/);
    await d.ok("stop");
    await check(503, "/", /no release is live/);
    // What the answers do not say is told to the operator.
    const errors = (await d.events()).filter(({ event }) => event === "proxy_error");
    assertEquals(errors.length, 6);
    for (const { data } of errors) assertMatch(String(data.target), /^POST \/(close|raw|hang)/);
  },
);
