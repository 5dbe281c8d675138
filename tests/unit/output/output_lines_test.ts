import { assert, assertEquals } from "@std/assert";
import { splitLines } from "../../../lib/process/output_lines.ts";

const encoder = new TextEncoder();
const OPTIONS = { limit: 8, max_lines: 1000 };

/** Reads `all` as it would arrive in pieces that end at `ends`; the state is the position alone. */
function arrive(all: Uint8Array, ends: number[], limit: number): [string, boolean][] {
  const got: [string, boolean][] = [];
  let position = 0;
  for (const end of [...ends, all.length]) {
    const last = end === all.length;
    for (;;) {
      const bytes = all.subarray(position, Math.min(end, position + limit + 1));
      const split = splitLines(bytes, {
        limit,
        max_lines: 3,
        last: last && position + bytes.length === all.length,
      });
      if (split.used === 0) break;
      split.lines.forEach((line, index) =>
        got.push([line, split.cut && index === split.lines.length - 1])
      );
      position += split.used;
    }
  }
  assertEquals(position, all.length);
  return got;
}

Deno.test("whole lines only; what is unfinished waits", () => {
  assertEquals(splitLines(encoder.encode("a\nb\nc"), { ...OPTIONS, last: false }), {
    lines: ["a", "b"],
    cut: false,
    used: 4,
  });
  assertEquals(splitLines(encoder.encode("c"), { ...OPTIONS, last: false }).used, 0);
});

Deno.test("at the end the unfinished line is a line", () => {
  assertEquals(splitLines(encoder.encode("c"), { ...OPTIONS, last: true }), {
    lines: ["c"],
    cut: false,
    used: 1,
  });
  assertEquals(splitLines(new Uint8Array(), { ...OPTIONS, last: true }).lines, []);
});

Deno.test("\\r\\n ends a line, a lone \\r does not", () => {
  const { lines } = splitLines(encoder.encode("a\r\nb\rc\n\r\n"), { ...OPTIONS, last: false });
  assertEquals(lines, ["a", "b\rc", ""]);
});

Deno.test("invalid UTF-8 is replaced and never swallows a newline", () => {
  const bytes = new Uint8Array([0xff, 0x61, 0x0a, 0xe2, 0x82, 0x0a, 0x62, 0x0a]);
  assertEquals(splitLines(bytes, { ...OPTIONS, last: false }).lines, ["\ufffda", "\ufffd", "b"]);
});

Deno.test("a line of exactly the limit is whole, one byte more is cut", () => {
  const whole = splitLines(encoder.encode("12345678\n"), { ...OPTIONS, last: false });
  assertEquals(whole, { lines: ["12345678"], cut: false, used: 9 });
  const piece = splitLines(encoder.encode("123456789\n"), { ...OPTIONS, last: false });
  assertEquals(piece, { lines: ["12345678"], cut: true, used: 8 });
});

Deno.test("a cut never divides a character or \\r\\n", () => {
  const split = splitLines(encoder.encode("123456€€\n"), { ...OPTIONS, last: false });
  assertEquals(split, { lines: ["123456"], cut: true, used: 6 });
  const ended = splitLines(encoder.encode("1234567\r\n"), { ...OPTIONS, last: false });
  assertEquals([ended.lines, ended.cut], [["1234567"], false]);
  const divided = splitLines(encoder.encode("1234567\rx"), { ...OPTIONS, last: false });
  assertEquals([divided.lines, divided.cut], [["1234567"], true]);
});

Deno.test("bytes that are no UTF-8 at all are cut at the limit", () => {
  const split = splitLines(new Uint8Array(20).fill(0x80), { ...OPTIONS, last: false });
  assertEquals([split.used, split.cut], [8, true]);
});

Deno.test("no more lines at once than asked for", () => {
  const split = splitLines(encoder.encode("a\nb\nc\n"), { limit: 8, max_lines: 2, last: true });
  assertEquals(split, { lines: ["a", "b"], cut: false, used: 4 });
});

Deno.test("the lines are the same however the bytes arrive, and no byte is lost", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  const parts = ["a", "€", "\n", "\r\n", "😀", "lång", "\n\n", "0123456789"];
  for (let round = 0; round < 300; round++) {
    const text = Array.from({ length: random(40) }, () => parts[random(parts.length)]).join("");
    const all = encoder.encode(text);
    const ends = Array.from({ length: random(10) }, () => random(all.length + 1))
      .sort((a, b) => a - b);
    const limit = 4 + random(12);
    const got = arrive(all, ends, limit);
    assertEquals(got, arrive(all, [], limit), JSON.stringify({ text, ends, limit }));
    const whole = got.map(([line, cut], index) =>
      cut || index === got.length - 1 && !text.endsWith("\n") ? line : `${line}\n`
    ).join("");
    assertEquals(whole, text.replaceAll("\r\n", "\n"));
    for (const [line] of got) assert(encoder.encode(line).length <= limit);
  }
});
