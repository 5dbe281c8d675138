/** Random input for the parsers: never a throw, never a result that depends on how bytes arrive. */

import { assert, assertEquals } from "@std/assert";
import { ChunkReader } from "../../../lib/http/chunked.ts";
import { BodyBroken } from "../../../lib/http/exchange.ts";
import { COMPLETE, MORE } from "../../../lib/http/fields.ts";
import { CHUNKED, FramedBody, type Source } from "../../../lib/http/framed_body.ts";
import { RequestHead } from "../../../lib/http/head.ts";
import { ResponseHead } from "../../../lib/http/response_head.ts";
import { bytesOf, textOf } from "../../kit/raw_http.ts";
import { forSeeds, type Random } from "../../kit/random.ts";

const BITS = [
  "GET / HTTP/1.1\r\n",
  "POST /a?b HTTP/1.0\r\n",
  "HTTP/1.1 200 OK\r\n",
  "Host: x\r\n",
  "\r\n",
  "\n",
  "\r",
  " ",
  "\t",
  ":",
  "\0",
  "Content-Length: 5\r\n",
  "Content-Length: 05\r\n",
  "Transfer-Encoding: chunked\r\n",
  "X: y\r\n",
  "X:\t y \t\r\n",
  "Connection: close, x-a\r\n",
  "\xff",
  "http://a:1/b",
  "5\r\nhello\r\n",
  "0\r\n\r\n",
  "a",
  "0",
  ";",
  "1;x=y\r\n",
  "TE: trailers\r\n",
  "X-Forwarded-For: 1\r\n",
  "[::1]",
];

function soup(random: Random, most: number): string {
  let text = random.chance(0.7) ? "GET / HTTP/1.1\r\nHost: x\r\n" : "";
  for (let i = random.int(0, most); i > 0; i--) text += random.pick(BITS);
  return text + (random.chance(0.5) ? "\r\n" : "");
}

/** Positions to stop at on the way, in order, the last one the end. */
function cuts(random: Random, length: number): number[] {
  const list = Array.from({ length: random.int(0, 6) }, () => random.int(0, length));
  return [...list, length].sort((a, b) => a - b);
}

/** Everything that a head says, as text. */
function told(head: RequestHead | ResponseHead, status: number): string {
  if (status !== COMPLETE) return `${status} ${head.reason}`;
  const request = head instanceof RequestHead ? [head.method, head.target, head.authority] : [];
  const { size, at, contentLength, chunked, close, keepAlive, upgrade, minor } = head;
  return JSON.stringify([
    ...request,
    size,
    at,
    contentLength,
    chunked,
    close,
    keepAlive,
    upgrade,
    minor,
    head.entries(),
  ]);
}

for (const make of [() => new RequestHead(), () => new ResponseHead()]) {
  const name = make().constructor.name;
  Deno.test(`${name}: the result is the same for every split`, async () => {
    await forSeeds(20_000, (random) => {
      const text = (name === "ResponseHead" ? "HTTP/1.1 200 OK\r\n" : "") + soup(random, 12);
      const bytes = bytesOf(text);
      const limit = random.chance(0.3) ? random.int(1, 120) : 4096;
      const whole = make();
      whole.reset(bytes, 0, limit, 8);
      const expected = whole.feed(bytes.length);
      const pieces = make();
      pieces.reset(bytes, 0, limit, 8);
      let got: number = MORE;
      for (const cut of cuts(random, bytes.length)) if (got === MORE) got = pieces.feed(cut);
      assertEquals(told(pieces, got), told(whole, expected), JSON.stringify(text));
    });
  });

  Deno.test(`${name}: random bytes are refused or wait for more, nothing else`, async () => {
    await forSeeds(5_000, (random) => {
      const bytes = Uint8Array.from({ length: random.int(1, 200) }, () => random.int(0, 255));
      const head = make();
      head.reset(bytes, 0, 100, 8);
      const status = head.feed(bytes.length);
      assert(status === MORE || status >= 400, String(status));
      if (status === MORE) assert(bytes.length < 100);
    });
  });
}

Deno.test("RequestHead: what is complete can be written again and read as the same", async () => {
  await forSeeds(20_000, (random) => {
    const bytes = bytesOf(soup(random, 12));
    const head = new RequestHead();
    head.reset(bytes, 0, 4096, 50);
    if (head.feed(bytes.length) !== COMPLETE) return;
    const lines = head.entries().map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const again = bytesOf(`${head.method} ${head.target} HTTP/1.${head.minor}\r\n${lines}\r\n`);
    const second = new RequestHead();
    second.reset(again, 0, 4096, 50);
    assertEquals(second.feed(again.length), COMPLETE, textOf(again));
    assertEquals(second.entries(), head.entries());
    assertEquals([second.contentLength, second.chunked], [head.contentLength, head.chunked]);
  });
});

/** A source that has its bytes in pieces. */
class Pieces implements Source {
  readonly bytes: Uint8Array;
  from = 0;
  to = 0;
  ended = 0;
  readonly #cuts: number[];

  constructor(text: string, cuts: number[]) {
    this.bytes = bytesOf(text);
    this.#cuts = cuts;
  }

  more(): Promise<number> {
    const next = this.#cuts.find((cut) => cut > this.to);
    if (next === undefined) return Promise.resolve(0);
    const count = next - this.to;
    this.to = next;
    return Promise.resolve(count);
  }

  bodyEnded(): void {
    this.ended++;
  }
}

/** Reads a body to its end. @returns data, trailers and what is left; or why it is refused */
async function drink(text: string, at: number[]): Promise<string> {
  const source = new Pieces(text, at);
  const body = new FramedBody(source);
  body.reset(CHUNKED, 0, 256, 4);
  let data = "";
  try {
    while (await body.pull()) data += textOf(body.bytes.subarray(body.start, body.end));
  } catch (error) {
    assert(error instanceof BodyBroken);
    return `refused: ${error.message}`;
  }
  assertEquals(source.ended, 1);
  // What is left must be there byte for byte for the next message.
  return JSON.stringify([data, body.trailers?.entries(), text.slice(source.from)]);
}

Deno.test("chunked bodies: the result is the same for every split", async () => {
  await forSeeds(5_000, async (random) => {
    let text = "";
    for (let i = random.int(0, 6); i > 0; i--) {
      const data = "d".repeat(random.int(1, 40));
      const extension = random.pick(["", "", ";a", ';a="b"']);
      text += `${data.length.toString(16)}${extension}\r\n${data}\r\n`;
      if (random.chance(0.1)) text += random.pick(BITS);
    }
    text += random.pick([
      "0\r\n\r\n",
      "0\r\nX: y\r\n\r\n",
      "000\r\nA: b\r\nC: d\r\n\r\n",
      "0\r\nX y\r\n\r\n",
    ]);
    text += random.pick(["", "GET / HTTP/1.1\r\n"]);
    const whole = await drink(text, [text.length]);
    const split = await drink(text, cuts(random, text.length));
    assertEquals(split, whole, JSON.stringify(text));
  });
});

Deno.test("ChunkReader: sizes up to twelve digits, not one more", () => {
  const read = (text: string) => {
    const reader = new ChunkReader();
    reader.reset(100, 4);
    const bytes = bytesOf(text);
    return reader.frame(bytes, 0, bytes.length) < 0 ? -1 : reader.data;
  };
  assertEquals(read("fFfFfFfFfFfF\r\n"), 0xffffffffffff);
  assertEquals(read("0fFfFfFfFfFfF\r\n"), -1);
});
