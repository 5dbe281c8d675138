/** Durations: what is read, what is refused, what is shown, and that both agree. */

import { assert, assertEquals } from "@std/assert";
import { formatDuration, parseDuration } from "../../../lib/core/duration.ts";
import { forSeeds } from "../../kit/random.ts";

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

Deno.test("duration: reads every unit, compounds, and fractions", () => {
  const written: Record<string, number> = {
    "0": 0,
    "0s": 0,
    "500ms": 500,
    "30s": 30_000,
    "1m": 60_000,
    "1m30s": 90_000,
    "1m1ms": 60_001,
    "24h": 86_400_000,
    "2d": 172_800_000,
    "1d2h3m4s5ms": 93_784_005,
    "0.5s": 500,
    "1.5h": 5_400_000,
    "0.1s0.2s": 300,
    "1.001s": 1001,
    "  30s\n": 30_000,
  };
  for (const [text, ms] of Object.entries(written)) assertEquals(parseDuration(text), ms, text);
});

Deno.test("duration: refuses what is no duration, above all a bare number", () => {
  const wrong = [
    "",
    " ",
    "1",
    "30",
    "-1s",
    "+1s",
    "1 s",
    "s",
    "ms",
    "1.s",
    ".5s",
    "1e3s",
    "1S",
    "1x",
    "1s2",
  ];
  for (
    const text of [...wrong, "1m,5s", "Infinity", "0x1s", "1s 30ms", "١s", "99999999999999999d"]
  ) {
    assertEquals(parseDuration(text), undefined, text);
  }
});

Deno.test("duration: shows the units that count", () => {
  const shown: [ms: number, text: string][] = [
    [0, "0"],
    [0.4, "0"],
    [-0.4, "0"],
    [1, "1ms"],
    [250, "250ms"],
    [999.6, "1s"],
    [60_000, "1m"],
    [90_000, "1m30s"],
    [3_600_001, "1h1ms"],
    [100 * 86_400_000, "100d"],
    [-5, "-5ms"],
    [-90_000, "-1m30s"],
  ];
  for (const [ms, text] of shown) assertEquals(formatDuration(ms), text);
});

Deno.test("duration: what is shown reads back as the same", async () => {
  await forSeeds(2000, (random) => {
    const ms = Math.floor(10 ** (random.next() * Math.log10(Number.MAX_SAFE_INTEGER)));
    const text = formatDuration(ms);
    assertEquals(parseDuration(text), ms, text);
  });
  for (
    const edge of [
      Number.MAX_SAFE_INTEGER,
      ...Object.values(UNITS).flatMap((ms) => [ms - 1, ms, ms + 1]),
    ]
  ) {
    assertEquals(parseDuration(formatDuration(edge)), edge);
  }
});

Deno.test("duration: any writing is the sum of its parts; any broken writing is refused", async () => {
  const names = Object.keys(UNITS) as (keyof typeof UNITS)[];
  await forSeeds(1000, (random) => {
    let text = "";
    let sum = 0;
    for (let parts = random.int(1, 5); parts > 0; parts--) {
      const amount = random.int(0, 5000);
      const unit = random.pick(names);
      text += `${amount}${unit}`;
      sum += amount * UNITS[unit];
    }
    assertEquals(parseDuration(text), sum, text);
    const at = random.int(0, text.length);
    const broken = text.slice(0, at) + random.pick([" ", "-", "x", ",", "S"]) + text.slice(at);
    if (broken.trim() !== text) assert(parseDuration(broken) === undefined, broken);
  });
});
