/**
 * What must pass through the proxy unharmed, and what must not pass at all: whole bodies of any size,
 * interim answers, trailers, and what clients claim to be.
 */

import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { daemonTest } from "../kit/daemon.ts";
import { webProcess } from "../kit/programs.ts";
import { RawPeer } from "../kit/raw_http.ts";

const CONFIG = { proxy: {}, processes: { web: webProcess() } };

const MEGABYTES = 50;
const SIZE = MEGABYTES * 1_000_000;

/** As fixtures/web.mjs makes them: byte number `at` of a download. */
function pattern(from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = ((from + i) * 31 + ((from + i) >> 8)) & 255;
  return bytes;
}

/** Digest of the first `size` bytes of the pattern. */
function digest(size: number): string {
  const hash = createHash("sha256");
  for (let at = 0; at < size; at += 1_000_000) {
    hash.update(pattern(at, Math.min(1_000_000, size - at)));
  }
  return hash.digest("hex");
}

daemonTest(
  "50 MB up and down, counted and in chunks, arrive to the byte",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    const expected = digest(SIZE);
    const url = `http://127.0.0.1:${d.port}`;
    for (const chunked of ["", "&chunked=1"]) {
      const response = await fetch(`${url}/download?bytes=${SIZE}${chunked}`);
      const hash = createHash("sha256");
      for await (const piece of response.body!) hash.update(piece);
      assertEquals(hash.digest("hex"), expected);
    }
    for (const counted of [true, false]) {
      let at = 0;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (at >= SIZE) return controller.close();
          controller.enqueue(pattern(at, 1_000_000));
          at += 1_000_000;
        },
      });
      const headers = counted ? { "content-length": String(SIZE) } : undefined;
      const response = await fetch(`${url}/upload`, { method: "POST", body, headers });
      assertEquals(await response.json(), { bytes: SIZE, sha256: expected, trailers: [] });
    }
    await d.statusUntil("all leases to be given back", ({ leases }) => leases === 0);
  },
);

daemonTest(
  "a client cannot say who it is; it can through a trusted proxy",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    const claims = [
      "X-Forwarded-For: 10.9.8.7",
      "X-Forwarded-Proto: https",
      "X-Forwarded-Host: bank.example",
      "X-Forwarded-Port: 443",
      "X-Forwarded-User: root",
      "X_Forwarded_For: 10.9.8.7",
      "X-Real-IP: 10.9.8.7",
      "Forwarded: for=10.9.8.7",
      "X-Request-ID: mine",
      "Connection: X-Forwarded-For, X-Secret, keep-alive",
      "X-Secret: 1",
      "Proxy-Authorization: Basic x",
    ];
    const seen = async () => {
      using peer = await RawPeer.connect(d.port);
      await peer.request("GET /request HTTP/1.1", "Host: shop.example", ...claims);
      const { lines } = JSON.parse((await peer.message()).body) as { lines: string[] };
      return lines.filter((line) => !/^(connection|host):/i.test(line))
        .map((line) => line.replace(/: .{32}$/, ": <id>"));
    };
    const untrusted = await seen();
    assertEquals(untrusted.toSorted(), [
      "X-Forwarded-For: 127.0.0.1",
      "X-Forwarded-Host: shop.example",
      `X-Forwarded-Port: ${d.port}`,
      "X-Forwarded-Proto: http",
      "X-Request-ID: <id>",
    ]);

    d.configure({
      proxy: { trusted_proxies: ["127.0.0.0/8"] },
      processes: CONFIG.processes,
    });
    await d.ok("reload");
    const trusted = await seen();
    for (
      const line of [
        "X-Forwarded-For: 10.9.8.7, 127.0.0.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: bank.example",
        "X-Forwarded-Port: 443",
        "X-Real-IP: 10.9.8.7",
        "X-Request-ID: mine",
      ]
    ) assert(trusted.includes(line), `${line} in\n${trusted.join("\n")}`);
    assert(!trusted.some((line) => /secret|proxy-auth/i.test(line)), "of one hop only");
  },
);

daemonTest(
  "early hints, trailers both ways, Expect: 100-continue, an answer before the body",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    using peer = await RawPeer.connect(d.port);
    await peer.request("GET /hints HTTP/1.1", "Host: x");
    const hint = await peer.head();
    assertEquals([hint.status, hint.get("link")], [103, "</a.css>; rel=preload"]);
    assertEquals((await peer.message()).body, "v1\n");

    await peer.request("GET /trailers HTTP/1.1", "Host: x", "TE: trailers");
    const trailed = await peer.message();
    assertEquals([trailed.body, trailed.trailers], ["hello", [["X-Sum", "5"], ["X-End", "yes"]]]);

    await peer.send(
      "POST /request HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Up\r\n\r\n" +
        "3\r\nabc\r\n0\r\nX-Up: 3\r\n\r\n",
    );
    const up = JSON.parse((await peer.message()).body);
    assertEquals([up.body, up.trailers], ["abc", ["X-Up: 3"]]);

    const expect = ["Host: x", "Content-Length: 5", "Expect: 100-continue"];
    await peer.request("POST /upload HTTP/1.1", ...expect);
    assertEquals((await peer.head()).status, 100, "the program asks for the body");
    await peer.send("12345");
    assertEquals(JSON.parse((await peer.message()).body).bytes, 5);

    await peer.request("POST /early HTTP/1.1", "Host: x", "Content-Length: 5000000");
    const early = await peer.message();
    assertEquals([early.status, early.body], [413, "too large\n"]);

    using streams = await RawPeer.connect(d.port);
    await streams.request("GET /events?every=1 HTTP/1.1", "Host: x");
    // Each event comes by itself: nobody waits until a buffer is full.
    await streams.until("id: 1\n");
    await streams.until("id: 2\n");
  },
);
