/** Suggestions: near names are found, wild ones are not made. */

import { assert, assertEquals } from "@std/assert";
import { nearest } from "../../../lib/core/suggest.ts";
import { forSeeds, type Random } from "../../kit/random.ts";

Deno.test("suggest: finds what was mistyped", () => {
  const keys = ["application", "state_dir", "control", "proxy", "processes", "release_retention"];
  const typed: Record<string, string | undefined> = {
    aplication: "application",
    appilcation: "application",
    Proxy: "proxy",
    PRXOY: "proxy",
    process: "processes",
    "state-dir": "state_dir",
    releaseRetention: "release_retention",
    banana: undefined,
    "": undefined,
    x: undefined,
  };
  for (const [word, expected] of Object.entries(typed)) {
    assertEquals(nearest(word, keys), expected, word);
  }
});

Deno.test("suggest: the nearest wins, the first of equals, and one edit is always allowed", () => {
  assertEquals(nearest("restrat", ["restrict", "restart", "reset"]), "restart");
  assertEquals(nearest("cat", ["bat", "hat"]), "bat");
  assertEquals([nearest("ab", ["ba"]), nearest("ab", ["abc"]), nearest("ab", ["abcd"])], [
    "ba",
    "abc",
    undefined,
  ]);
  assertEquals(nearest("port", []), undefined);
});

Deno.test("suggest: a third of the letters may differ, not more", () => {
  assertEquals(nearest("abcdef", ["abcdxy"]), "abcdxy");
  assertEquals(nearest("abcdef", ["abcxyz"]), undefined);
  assertEquals(nearest("abcdefgh", ["abcdexyz"]), undefined, "a third of 8 is 2");
  assertEquals(nearest("abcdefghi", ["abcdefxyz"]), "abcdefxyz");
});

Deno.test("suggest: agrees with the distance written down as its definition", async () => {
  await forSeeds(500, (random) => {
    const candidates = Array.from(
      { length: random.int(1, 5) },
      () => random.text(random.int(1, 8), "abc"),
    );
    const word = random.chance(0.7)
      ? mistype(random, random.pick(candidates))
      : random.text(5, "abc");
    const limit = Math.max(1, Math.floor(word.length / 3));
    const distances = candidates.map((candidate) => distance(word, candidate));
    const best = Math.min(...distances);
    const expected = best > limit ? undefined : candidates[distances.indexOf(best)];
    assertEquals(nearest(word, candidates), expected, `${word} in ${candidates}`);
  });
});

Deno.test("suggest: one slip of the finger in a known word is always answered", async () => {
  await forSeeds(300, (random) => {
    const known = random.text(random.int(2, 10), "abc");
    const typed = mistype(random, known);
    const answer = nearest(typed, ["zzzzzzzzzzzz", known]);
    assert(answer === known, `${typed} for ${known}`);
  });
});

/** One letter more, less, other, or two changed places. */
function mistype(random: Random, word: string): string {
  const at = random.int(0, word.length - 1);
  const other = random.text(1, "abc");
  const [before, rest] = [word.slice(0, at), word.slice(at)];
  return random.pick([
    before + other + rest,
    before + rest.slice(1),
    before + other + rest.slice(1),
    before + rest.slice(1, 2) + rest.slice(0, 1) + rest.slice(2),
  ]);
}

/** Optimal string alignment distance, by its recursive definition. */
function distance(a: string, b: string): number {
  if (a === "" || b === "") return a.length + b.length;
  const [headA, headB] = [a.slice(0, -1), b.slice(0, -1)];
  const same = a.at(-1) === b.at(-1);
  if (same) return distance(headA, headB);
  const choices = [distance(headA, b), distance(a, headB), distance(headA, headB)];
  if (a.length > 1 && b.length > 1 && a.at(-1) === b.at(-2) && a.at(-2) === b.at(-1)) {
    choices.push(distance(a.slice(0, -2), b.slice(0, -2)));
  }
  return 1 + Math.min(...choices);
}
