/** A map cut down must still point to the right lines. */

import { assertEquals } from "@std/assert";
import { decode, encode, restrict } from "../../../scripts/lib/source_map.ts";

/** Every segment as absolute numbers: [line, column, source?, source line?, source column?]. */
function absolute(mappings: string): number[][] {
  const state = [0, 0, 0];
  return mappings.split(";").flatMap((line, number) => {
    let column = 0;
    return (line === "" ? [] : line.split(",")).map((segment) => {
      const [first, ...rest] = decode(segment);
      column += first;
      rest.slice(0, 3).forEach((delta, i) => state[i] += delta);
      return rest.length === 0 ? [number, column] : [number, column, ...state];
    });
  });
}

Deno.test("numbers of every size survive encoding", () => {
  for (const numbers of [[0], [15, -15, 16, -16], [1023, -1024, 123_456, -99_999]]) {
    assertEquals(decode(encode(numbers)), numbers);
  }
  assertEquals(encode([0, 1, -1, 16]), "ACDgB");
});

Deno.test("only the chosen sources remain, in place, and other code is unmapped", () => {
  const segments = [
    [[0, 0, 0, 0], [4, 1, 5, 2], [3, -1, 1, 1], [6, 0, 3, 0, 0]],
    [[2, 1, 0, 0], [2, 0, 1, 0]],
    [[0, -1, 1, -2]],
  ];
  const map = {
    version: 3 as const,
    sources: ["../npm/package.js", "../lib/ours.ts"],
    names: ["f"],
    mappings: segments.map((line) => line.map(encode).join(",")).join(";"),
    sourcesContent: ["", ""],
  };
  const kept = restrict(map, (source) => source.includes("npm") ? undefined : source.slice(3), 2);
  assertEquals(kept.sources, ["lib/ours.ts"]);
  assertEquals(kept.sourcesContent, undefined);
  const expected = absolute(map.mappings)
    .filter(([, , source]) => source === 1)
    .map(([line, column, , ...position]) => [line + 2, column, 0, ...position]);
  const found = absolute(kept.mappings);
  assertEquals(found.filter((segment) => segment.length > 2), expected);
  // The package's code behind ours is cut off from ours, once.
  assertEquals(found.filter((segment) => segment.length === 2), [[2, 7]]);
});

Deno.test("of what one line of ours became, only the beginning is mapped", () => {
  const segments = [[0, 0, 0, 0], [4, 0, 0, 6], [3, 0, 1, -6], [2, 0, 0, 3], [5, 0, -1, 0]];
  const map = {
    version: 3 as const,
    sources: ["ours.ts"],
    names: [],
    mappings: segments.map(encode).join(","),
  };
  assertEquals(absolute(restrict(map, (source) => source).mappings), [
    [0, 0, 0, 0, 0],
    [0, 7, 0, 1, 0],
    [0, 14, 0, 0, 3],
  ]);
});
