/** The small parts: networks, WebSocket frames, choosing an upstream, the sweeper, own answers. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { ownAnswer } from "../../../lib/http/answer.ts";
import { putChunkEnd, putChunkSize } from "../../../lib/http/chunked.ts";
import { RequestHead } from "../../../lib/http/head.ts";
import { ResponseHead } from "../../../lib/http/response_head.ts";
import { Networks } from "../../../lib/http/networks.ts";
import { Sweeper, TICK } from "../../../lib/http/sweeper.ts";
import { Upstream } from "../../../lib/http/upstream.ts";
import { UpstreamSet } from "../../../lib/http/upstream_set.ts";
import { FrameCounter } from "../../../lib/http/websocket.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { forSeeds } from "../../kit/random.ts";
import { bytesOf, textOf } from "../../kit/raw_http.ts";

Deno.test("Networks: addresses in and out of blocks", () => {
  const networks = Networks.parse(["10.0.0.0/8", "192.168.1.7", "fd00::/8", "::1", "1.2.3.4/31"]);
  for (
    const inside of [
      "10.255.0.1",
      "::ffff:10.1.2.3",
      "192.168.1.7",
      "fd12::1",
      "::1",
      "1.2.3.5",
      "fdff::1%eth0",
    ]
  ) assert(networks.has(inside), inside);
  for (
    const outside of ["11.0.0.1", "192.168.1.8", "fe80::1", "::2", "1.2.3.6", "", "unix", "10.0.0"]
  ) assert(!networks.has(outside), outside);
  assert(Networks.parse(["0.0.0.0/0"]).has("8.8.8.8"));
  assert(!Networks.parse(["0.0.0.0/0"]).has("2001::1"));
  assert(Networks.parse(["::/0"]).has("2001::1"));
});

Deno.test("Networks: what is no block is a failure that quotes it", () => {
  for (
    const text of ["10.0.0.0/33", "localhost", "10.0.0.256", "::1/129", "1::2::3", "", "a/b/c"]
  ) {
    const failure = assertThrows(() => Networks.parse([text]), Failure);
    assertStringIncludes(failure.message, JSON.stringify(text));
  }
});

Deno.test("FrameCounter: finds the boundaries of random frames in random pieces", async () => {
  await forSeeds(40, (random) => {
    let stream = "";
    const boundaries = new Set([0]);
    for (let i = random.int(1, 6); i > 0; i--) {
      const masked = random.chance(0.3) ? 0x80 : 0;
      const size = random.pick([0, 1, 125, 126, 300, 65_535, 65_536]);
      stream += String.fromCharCode(0x82);
      if (size < 126) stream += String.fromCharCode(masked | size);
      else if (size < 65_536) {
        stream += String.fromCharCode(masked | 126, size >> 8, size & 255);
      } else stream += String.fromCharCode(masked | 127, 0, 0, 0, 0, 0, 1, 0, 0);
      stream += masked ? "mask" : "";
      stream += "\x88".repeat(size);
      boundaries.add(stream.length);
    }
    const bytes = bytesOf(stream);
    const counter = new FrameCounter();
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + random.int(1, 70_000));
      const inside = [...boundaries].filter((b) => b >= at && b <= end).pop() ?? -1;
      assertEquals(counter.feed(bytes, at, end), inside);
      assertEquals(counter.atBoundary, boundaries.has(end));
      at = end;
    }
  });
});

Deno.test("UpstreamSet: least outstanding first, ties take turns, not ready is not asked", () => {
  const clock = new ManualClock();
  const set = new UpstreamSet("v1");
  const [a, b, c] = ["a", "b", "c"].map((name, i) => new Upstream(name, "127.0.0.1", i, { clock }));
  for (const upstream of [a, b, c]) set.add(upstream);
  const turns = Array.from({ length: 6 }, () => set.pick()?.instance);
  assertEquals(turns, ["a", "b", "c", "a", "b", "c"]);
  for (const busy of [a, a, c]) busy.lease();
  assertEquals(set.pick(), b);
  assertEquals(set.pick(b), c);
  b.ready = false;
  c.retire();
  assertEquals(set.pick(), a);
  assertEquals(set.pick(a), undefined);
  set.remove("a");
  assertEquals(set.pick(), undefined);
});

Deno.test("Sweeper: ticks only while something is watched", async () => {
  const clock = new ManualClock();
  const sweeper = new Sweeper(clock);
  const seen: number[] = [];
  const watched = { sweep: (now: number) => void seen.push(now) };
  await clock.advance(1000);
  assertEquals(clock.pending, 0);
  sweeper.add(watched);
  assertEquals(sweeper.now, 1000);
  await clock.advance(2 * TICK);
  assertEquals(seen, [1000 + TICK, 1000 + 2 * TICK]);
  sweeper.delete(watched);
  assertEquals(clock.pending, 0);
});

Deno.test("ResponseHead.of: refuses what would split an answer", () => {
  for (const value of ["a\r\nX: b", "a\nb", "a\0"]) {
    assertThrows(() => ResponseHead.of(200, [["X", value]]), TypeError);
  }
  assertThrows(() => ResponseHead.of(200, [["X Y", "z"]]), TypeError);
  assertThrows(() => ResponseHead.of(200, [["X", "y\r\n\r\nHTTP/1.1 200 OK"]]), TypeError);
});

Deno.test("own answers: text unless JSON is preferred", () => {
  const type = (accept: string) => {
    const bytes = bytesOf(`GET / HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\n\r\n`);
    const head = new RequestHead();
    head.reset(bytes, 0, 0, 0);
    head.feed(bytes.length);
    return ownAnswer(head, 503, "why").head.get("content-type");
  };
  assertEquals(type("application/json"), "application/json");
  assertEquals(type("application/problem+json, */*"), "application/json");
  assertEquals(type("*/*"), "text/plain; charset=utf-8");
  assertEquals(type("text/html, application/json"), "text/plain; charset=utf-8");
});

Deno.test("chunk framing is written around data in place", () => {
  for (const size of [1, 15, 16, 255, 4096, 65_535, 1_000_000]) {
    const bytes = new Uint8Array(size + 40);
    bytes.fill(100, 16, 16 + size);
    const end = putChunkEnd(bytes, 16 + size, true);
    const start = putChunkSize(bytes, 16, size);
    const expected = `${size.toString(16)}\r\n${"d".repeat(size)}\r\n0\r\n\r\n`;
    assertEquals(textOf(bytes.subarray(start, end)), expected);
  }
});
