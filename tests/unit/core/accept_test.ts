/** The loop that takes in what comes. */

import { assertEquals } from "@std/assert";
import { acceptAll } from "../../../lib/core/accept.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

Deno.test("a failed accept is told and tried again after a pause; closing ends the loop", async () => {
  const clock = new ManualClock();
  const taken: number[] = [];
  const failed: string[] = [];
  let open = true;
  const coming = [
    () => Promise.resolve(1),
    () => Promise.reject(new Error("no descriptors")),
    () => Promise.resolve(2),
    () => {
      open = false;
      return Promise.reject(new Error("closed"));
    },
  ];
  const done = acceptAll({
    clock,
    open: () => open,
    next: () => coming.shift()!(),
    take: (value: number) => void taken.push(value),
    failed: (error) => void failed.push((error as Error).message),
  });
  await clock.advance(99);
  assertEquals([taken, failed], [[1], ["no descriptors"]]);
  await clock.advance(1);
  await done;
  assertEquals([taken, failed], [[1, 2], ["no descriptors"]]);
});

Deno.test("what cannot be taken in counts as a failed accept", async () => {
  const clock = new ManualClock();
  const failed: unknown[] = [];
  let left = 2;
  const done = acceptAll({
    clock,
    open: () => left > 0,
    next: () => Promise.resolve(left--),
    take() {
      throw new Error("no room");
    },
    failed: (error) => void failed.push(error),
  });
  await clock.advance(100);
  await done;
  assertEquals([left, failed.length], [0, 1]);
});
