/** Cutting a stream at its delimiter, however the bytes come. */

import { assert, assertEquals } from "@std/assert";
import { Messages } from "../../../../plugins/tcp/messages.ts";
import { forSeeds } from "../../../kit/random.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Everything that comes out when the text is fed in pieces of these sizes, in turn. */
function cut(text: string, sizes: number[], delimiter = "\r\n", limit = 1000): string[] {
  const messages = new Messages(encode(delimiter), limit);
  const bytes = encode(text);
  const out: string[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const room = messages.room();
    assert(room.length > 0, "there is room");
    const piece = bytes.subarray(at, at + Math.min(room.length, sizes[turn % sizes.length]));
    room.set(piece);
    messages.arrived(piece.length);
    at += piece.length;
    for (let one = messages.next(); one !== undefined; one = messages.next()) out.push(decode(one));
  }
  out.push(decode(messages.rest()));
  return out;
}

Deno.test("two messages in one piece are two, a delimiter in two pieces is one", () => {
  assertEquals(cut("a\r\nb\r\n", [100]), ["a\r\n", "b\r\n", ""]);
  assertEquals(cut("a\r\nb\r\n", [2, 3]), ["a\r\n", "b\r\n", ""]);
  assertEquals(cut("a\r\nb", [1]), ["a\r\n", "b"]);
  assertEquals(cut("\r\n\r\n", [3]), ["\r\n", "\r\n", ""]);
});

Deno.test("what only begins like the delimiter belongs to the message", () => {
  assertEquals(cut("a\rb\r\r\n", [1]), ["a\rb\r\r\n", ""]);
  assertEquals(cut("xaab;aaab;", [1], "aab;"), ["xaab;", "aaab;", ""]);
  assertEquals(cut("ababac", [2], "abac"), ["ababac", ""]);
});

Deno.test("a message may be as long as the limit and no longer", () => {
  const messages = new Messages(encode("\n"), 5000);
  const fill = (bytes: number) => {
    for (let left = bytes; left > 0;) {
      const count = Math.min(left, messages.room().length);
      if (count === 0) return left;
      messages.room().fill(120, 0, count);
      messages.arrived(count);
      left -= count;
    }
    return 0;
  };
  assertEquals(fill(4999), 0);
  messages.room()[0] = 10;
  messages.arrived(1);
  assertEquals(messages.next()?.length, 5000);
  assertEquals(fill(5001), 1);
  assertEquals(messages.next(), undefined);
  assertEquals(messages.room().length, 0);
});

Deno.test("a message is a copy: what comes later does not change it", () => {
  const messages = new Messages(encode("\n"), 100);
  const take = (text: string) => {
    messages.room().set(encode(text));
    messages.arrived(text.length);
    return messages.next()!;
  };
  const first = take("one\n");
  take("two\n");
  assertEquals(decode(first), "one\n");
});

Deno.test("any text in any pieces comes out as it would be split whole", () =>
  forSeeds(300, (random) => {
    const delimiter = random.pick(["\n", "\r\n", "aba", "aab", "||"]);
    const text = random.text(random.int(0, 9000), `${delimiter}${delimiter}ab|x`);
    const largest = random.pick([10, 4000]);
    const sizes = Array.from({ length: 5 }, () => random.int(1, largest));
    const parts = text.split(delimiter);
    const expected = parts.map((part, i) => i < parts.length - 1 ? part + delimiter : part);
    assertEquals(cut(text, sizes, delimiter, 100_000), expected);
  }));
