/** The ring against the plainest model: an array that loses its head. */

import { assertEquals } from "@std/assert";
import { Ring } from "../../../lib/core/ring.ts";
import { forSeeds } from "../../kit/random.ts";

Deno.test("ring: holds the last ones in order and counts what left", async () => {
  await forSeeds(300, (random) => {
    const capacity = random.int(0, 12);
    const ring = new Ring<number>(capacity);
    const all: number[] = [];
    for (let i = random.int(0, 50); i > 0; i--) {
      ring.push(i);
      all.push(i);
      const kept = all.slice(Math.max(0, all.length - capacity));
      assertEquals(ring.list(), kept);
      assertEquals([ring.length, ring.dropped], [kept.length, all.length - kept.length]);
    }
  });
});

Deno.test("ring: a list that was handed out is the caller's own", () => {
  const ring = new Ring<string>(2);
  ring.push("a");
  const list = ring.list();
  list.push("b");
  ring.push("c");
  assertEquals([list, ring.list()], [["a", "b"], ["a", "c"]]);
});
