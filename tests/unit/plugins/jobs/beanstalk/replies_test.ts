/** Answers of beanstalkd, however they are cut, and what is none. */

import { assertEquals, assertThrows } from "@std/assert";
import { Replies, type Reply } from "../../../../../plugins/jobs/beanstalk/replies.ts";

const encode = (text: string) => new TextEncoder().encode(text);

function feed(...chunks: Uint8Array[]) {
  const all: [string, ...unknown[]][] = [];
  const replies = new Replies(({ word, args, body }: Reply) => {
    all.push([word, ...args, ...body === undefined ? [] : [new TextDecoder().decode(body)]]);
  });
  for (const chunk of chunks) replies.feed(chunk);
  return all;
}

const STREAM =
  "INSERTED 7\r\nRESERVED 7 4\r\n\r\na\n\r\nTIMED_OUT\r\nRESERVED 8 0\r\n\r\nOK 2\r\nok\r\n";
const MEANT = [
  ["INSERTED", "7"],
  ["RESERVED", "7", "4", "\r\na\n"],
  ["TIMED_OUT"],
  ["RESERVED", "8", "0", ""],
  ["OK", "2", "ok"],
];

Deno.test("answers: whole, byte by byte, and cut anywhere", () => {
  const bytes = encode(STREAM);
  assertEquals(feed(bytes) as unknown, MEANT);
  assertEquals(feed(...[...bytes].map((byte) => Uint8Array.of(byte))) as unknown, MEANT);
  for (let at = 0; at <= bytes.length; at++) {
    assertEquals(feed(bytes.subarray(0, at), bytes.subarray(at)) as unknown, MEANT, `cut at ${at}`);
  }
});

Deno.test("answers: a body is a copy", () => {
  const chunk = encode("RESERVED 1 2\r\nab\r\n");
  const bodies: Uint8Array[] = [];
  new Replies(({ body }) => bodies.push(body!)).feed(chunk);
  chunk.fill(0);
  assertEquals(bodies[0], encode("ab"));
});

Deno.test("answers: what is none is an error", () => {
  for (
    const [text, why] of [
      ["x".repeat(2000), "has no end"],
      ["RESERVED 1 -1\r\n", "announces no length"],
      ["RESERVED 1 1e99\r\n", "announces no length"],
      ["OK\r\n", "announces no length"],
      ["RESERVED 1 2\r\nabc\r\n", "wrong length"],
    ]
  ) {
    assertThrows(() => feed(encode(text)), Error, why);
  }
});
