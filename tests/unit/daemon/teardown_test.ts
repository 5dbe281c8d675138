/** Taking a daemon apart. */

import { assertEquals } from "@std/assert";
import { Teardown } from "../../../lib/daemon/teardown.ts";
import { ManualClock, turn } from "../../kit/manual_clock.ts";

Deno.test("the last step registered runs first, each when the one before is done", async () => {
  const teardown = new Teardown(new ManualClock());
  const ran: string[] = [];
  teardown.add("a", () => void ran.push("a"));
  teardown.add("b", async () => {
    ran.push("b begins");
    await turn();
    ran.push("b ends");
  });
  assertEquals(await teardown.run(), []);
  assertEquals(ran, ["b begins", "b ends", "a"]);
});

Deno.test("a step that fails, at once or later, is named and keeps nobody from running", async () => {
  const teardown = new Teardown(new ManualClock());
  const ran: string[] = [];
  teardown.add("a", () => void ran.push("a"));
  teardown.add("b", () => {
    throw new Error("broken");
  });
  teardown.add("c", () => Promise.reject(new Error("late")));
  assertEquals(await teardown.run(), ["c: late", "b: broken"]);
  assertEquals(ran, ["a"]);
});

Deno.test("a step that takes longer than it may is left behind", async () => {
  const clock = new ManualClock();
  const teardown = new Teardown(clock);
  const ran: string[] = [];
  const slow = Promise.withResolvers<void>();
  teardown.add("a", () => void ran.push("a"));
  teardown.add("slow", () => slow.promise, 1_000);
  const end = teardown.run();
  await clock.advance(999);
  assertEquals(ran, []);
  await clock.advance(1);
  assertEquals(await end, ["slow: not finished after 1000 ms"]);
  assertEquals(ran, ["a"]);
  slow.reject(new Error("nobody listens any more"));
  await turn();
});

Deno.test("a step without a limit is waited for", async () => {
  const clock = new ManualClock();
  const teardown = new Teardown(clock);
  const slow = Promise.withResolvers<void>();
  teardown.add("slow", () => slow.promise);
  let over = false;
  const end = teardown.run().then(() => over = true);
  await clock.advance(1e9);
  assertEquals(over, false);
  slow.resolve();
  await end;
});

Deno.test("whoever else asks for the end waits for the same one", async () => {
  const teardown = new Teardown(new ManualClock());
  const slow = Promise.withResolvers<void>();
  const ran: string[] = [];
  teardown.add("a", () => void ran.push("a"));
  teardown.add("slow", () => slow.promise);
  const ends = [teardown.run(), teardown.run()];
  await turn();
  assertEquals(ran, []);
  slow.reject(new Error("broken"));
  assertEquals(await Promise.all(ends), [["slow: broken"], ["slow: broken"]]);
  assertEquals(ran, ["a"]);
});

Deno.test("every step runs once; what is added later runs with the next end", async () => {
  const teardown = new Teardown(new ManualClock());
  const ran: string[] = [];
  teardown.add("a", () => void ran.push("a"));
  await teardown.run();
  teardown.add("b", () => void ran.push("b"));
  await teardown.run();
  assertEquals(ran, ["a", "b"]);
});
