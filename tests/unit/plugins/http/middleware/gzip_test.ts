/** What is compressed, what is not, and that streams stay live. */

import { assert, assertEquals } from "@std/assert";
import { constants, inflateRawSync } from "node:zlib";
import { type Body, BodyBroken, BytesBody, ResponseHead } from "../../../../../lib/http/mod.ts";
import { bytesOf, type RawMessage } from "../../../../kit/raw_http.ts";
import { answering, Site } from "./kit.ts";

const TEXT = "All work and no play makes Jack a dull boy. ".repeat(5000);
const HTML: [string, string] = ["Content-Type", "text/html; charset=utf-8"];
const GZIP = "Accept-Encoding: deflate, gzip;q=0.5";

const site = (fields: [string, string][], body: string | Body = TEXT, status = 200) =>
  new Site({ middleware: ["gzip"] }, answering(body, fields, status));

/** The text in an answer, or in the bytes of one. */
async function unpacked(packed: Pick<RawMessage, "body">): Promise<string> {
  const bytes = new Blob([Uint8Array.from(bytesOf(packed.body))]).stream();
  return await new Response(bytes.pipeThrough(new DecompressionStream("gzip"))).text();
}

/** A body that gives its pieces when it is told to. */
class Pieces implements Body {
  readonly length = -1;
  readonly trailers = undefined;
  bytes = new Uint8Array(0);
  start = 0;
  end = 0;
  done = false;
  readonly #next: () => Promise<string | undefined>;

  constructor(next: () => Promise<string | undefined>) {
    this.#next = next;
  }

  async pull(): Promise<boolean> {
    const text = await this.#next();
    const room = 16;
    const bytes = new TextEncoder().encode(text ?? "");
    this.bytes = new Uint8Array(bytes.length + 2 * room);
    this.bytes.set(bytes, room);
    this.start = room;
    this.end = room + bytes.length;
    this.done = text === undefined;
    return !this.done;
  }
}

Deno.test("gzip: a large text, with weak ETag, Vary, no length, no ranges", async () => {
  await using one = site([
    HTML,
    ["ETag", '"v1"'],
    ["Vary", "Cookie"],
    ["Accept-Ranges", "bytes"],
    ["Content-Length", String(TEXT.length)],
  ]);
  const answer = await one.ask("GET /", GZIP);
  assertEquals(answer.fields.filter(([name]) => !/^(transfer|content-type)/i.test(name)), [
    ["Vary", "Cookie, Accept-Encoding"],
    ["Content-Encoding", "gzip"],
    ["ETag", 'W/"v1"'],
  ]);
  assert(answer.body.length < TEXT.length / 20, `${answer.body.length} bytes`);
  assertEquals(await unpacked(answer), TEXT);
});

Deno.test("gzip: HEAD says what GET would, without a body and a length", async () => {
  await using one = site([HTML]);
  const answer = await one.ask("HEAD /", GZIP);
  assertEquals(answer.get("content-encoding"), "gzip");
  assertEquals(answer.get("content-length"), undefined);
});

for (
  const [accept, packed] of [
    ["gzip", true],
    ["*", true],
    ["*;q=0, gzip", true],
    ["br;q=1.0, x-gzip;q=0.8", true],
    ["gzip;q=0", false],
    ["gzip;q=0.000, *", false],
    ["identity", false],
    ["", false],
  ] as const
) {
  Deno.test(`gzip: Accept-Encoding "${accept}": ${packed ? "yes" : "no"}, and Vary either way`, async () => {
    await using one = site([HTML]);
    const answer = await one.ask("GET /", `Accept-Encoding: ${accept}`);
    assertEquals(answer.get("content-encoding"), packed ? "gzip" : undefined);
    assertEquals(answer.get("vary"), "Accept-Encoding");
    assertEquals(packed ? await unpacked(answer) : answer.body, TEXT);
  });
}

const UNTOUCHED: [what: string, fields: [string, string][], body?: string, status?: number][] = [
  ["a small body", [HTML], "small"],
  ["an image", [["Content-Type", "image/png"]]],
  ["no type", []],
  ["encoded already", [HTML, ["Content-Encoding", "br"]]],
  ["no-transform", [HTML, ["Cache-Control", "public, No-Transform"]]],
  ["a part", [HTML, ["Content-Range", "bytes 0-1/2"]], TEXT, 206],
];

for (const [what, fields, body = TEXT, status = 200] of UNTOUCHED) {
  Deno.test(`gzip: ${what} is left as it is`, async () => {
    await using one = site(fields, body, status);
    const answer = await one.ask("GET /", GZIP);
    assertEquals(answer.body, body);
    assertEquals(answer.get("vary"), undefined);
  });
}

Deno.test("gzip: every event of a stream can be read before the next one is there", async () => {
  const events = Array.from({ length: 20 }, (_, i) => `data: ${i} ${"x".repeat(i * 100)}\n\n`);
  let given = 0;
  let gate = Promise.withResolvers<void>();
  const body = new Pieces(async () => {
    if (given > 0) await gate.promise;
    gate = Promise.withResolvers();
    return events[given++];
  });
  await using one = site([["Content-Type", "text/event-stream"]], body);
  using client = await one.connect();
  await client.request("GET / HTTP/1.1", "Host: x", GZIP);
  assertEquals((await client.head()).get("content-encoding"), "gzip");
  let packed = "";
  const more = async () => {
    packed += await client.bytes(parseInt(await client.until("\r\n"), 16));
    await client.until("\r\n");
  };
  for (let i = 1; i <= events.length; i++) {
    await more();
    const blocks = bytesOf(packed).subarray(10);
    const options = { finishFlush: constants.Z_SYNC_FLUSH, chunkSize: 65_536 };
    const text = inflateRawSync(blocks, options);
    assertEquals(new TextDecoder().decode(text), events.slice(0, i).join(""));
    gate.resolve();
  }
  await more();
  assertEquals(await unpacked({ body: packed }), events.join(""));
  assertEquals(await client.until("0\r\n\r\n"), "0\r\n\r\n");
});

Deno.test("gzip: random pieces come out as they went in", async () => {
  const pieces = Array.from({ length: 40 }, () => {
    const bytes = crypto.getRandomValues(new Uint8Array(1 + Math.random() * 60_000));
    return [...bytes.subarray(0, 2000)].map((b) => String.fromCharCode(32 + b % 64)).join("")
      .repeat(1 + bytes[0] % 20);
  });
  let given = 0;
  await using one = site([HTML], new Pieces(() => Promise.resolve(pieces[given++])));
  assertEquals(await unpacked(await one.ask("GET /", GZIP)), pieces.join(""));
});

Deno.test("gzip: a body that breaks off has no clean end", async () => {
  const body = new Pieces(() => Promise.reject(new BodyBroken("the worker died", 502)));
  const broken = answering(body, [HTML]);
  await using one = new Site({ middleware: ["gzip"] }, async (exchange) => {
    await broken(exchange);
  });
  using client = await one.connect();
  await client.request("GET / HTTP/1.1", "Host: x", GZIP);
  assert(!(await client.rest()).endsWith("0\r\n\r\n"));
});

Deno.test("gzip: while an answer is on its way nobody else can answer", async () => {
  const seen: boolean[] = [];
  await using one = new Site({ middleware: ["gzip"] }, async (exchange) => {
    seen.push(exchange.answered);
    const head = ResponseHead.of(200, [HTML]);
    const responding = exchange.respond(head, new BytesBody(new TextEncoder().encode(TEXT)));
    seen.push(exchange.answered);
    await responding;
  });
  assertEquals(await unpacked(await one.ask("GET /", GZIP)), TEXT);
  assertEquals(seen, [false, true]);
});
