/** Sizes: what is read, what is refused, what is shown, and that both agree. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatSize, parseSize } from "../../../lib/core/size.ts";
import { forSeeds } from "../../kit/random.ts";

const BYTES = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};
const NAMES = Object.keys(BYTES) as (keyof typeof BYTES)[];

Deno.test("size: decimal and binary units are different things", () => {
  assertEquals(parseSize("128MB"), 128_000_000);
  assertEquals(parseSize("128MiB"), 134_217_728);
  assertEquals([parseSize("0"), parseSize("0B"), parseSize("17B"), parseSize(" 64 KiB ")], [
    0,
    0,
    17,
    65_536,
  ]);
  assertEquals([parseSize("1.5KiB"), parseSize("0.5MB")], [1536, 500_000]);
});

Deno.test("size: refuses what is no size, above all a bare number", () => {
  const wrong = [
    "",
    " ",
    "1",
    "128",
    "-1MB",
    "+1B",
    "MB",
    "1.B",
    ".5KB",
    "1e3B",
    "1iB",
    "1M",
    "1 M",
    "1Mi",
  ];
  for (
    const text of [...wrong, "1  KB", "1PB", "1KB2", "1KB 2KB", "0x1B", "9999999TiB", "1\u212aB"]
  ) {
    assertEquals(parseSize(text), undefined, text);
  }
});

Deno.test("size: any amount of any unit in any letter case", async () => {
  await forSeeds(1000, (random) => {
    const name = random.pick(NAMES);
    const written = [...name].map((c) => random.chance(0.5) ? c.toLowerCase() : c.toUpperCase())
      .join("");
    const amount = random.int(0, 2000);
    const text = amount + random.pick(["", " "]) + written;
    assertEquals(parseSize(text), amount * BYTES[name], text);
  });
});

Deno.test("size: shows three digits or so, never 1024 of a unit that has a next", () => {
  const shown: [bytes: number, text: string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [64 * 1024, "64.0 KiB"],
    [512 * 1024, "512 KiB"],
    [99.96 * 1024, "100 KiB"],
    [1024 ** 2 - 1, "1.0 MiB"],
    [1024 ** 3 - 1, "1.0 GiB"],
    [1.4 * 1024 ** 3, "1.4 GiB"],
    [5000 * 1024 ** 4, "5000 TiB"],
  ];
  for (const [bytes, text] of shown) assertEquals(formatSize(bytes), text);
});

Deno.test("size: what is shown reads back as nearly the same", async () => {
  await forSeeds(2000, (random) => {
    const bytes = Math.floor(10 ** (random.next() * 14));
    const text = formatSize(bytes);
    assertMatch(text, /^(\d{1,4} B|\d{1,2}\.\d [KMGT]iB|[1-9]\d{2,3} [KMGT]iB)$/);
    const back = parseSize(text)!;
    assert(Math.abs(back - bytes) <= bytes * 0.05, `${bytes} is shown as ${text}`);
    assertEquals(formatSize(back), text, "a size that was read is shown as it was written");
  });
});
