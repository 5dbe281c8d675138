/** Waiting: every way a wait ends, and that nothing of it is left behind. */

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { abortable, sleep, stamp, within } from "../../../lib/core/clock.ts";
import { ManualClock, turn } from "../../kit/manual_clock.ts";
import { CountedSignal } from "../../kit/counted_signal.ts";

/** What a promise has come to by now. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  const settled = promise.then((value) => ({ value }), (error) => ({ error }));
  return await Promise.race([settled, turn().then(() => "pending")]);
}

Deno.test("sleep: ends when its time has come, not before, and leaves no listener", async () => {
  const clock = new ManualClock();
  const stop = new CountedSignal();
  const asleep = sleep(clock, 100, stop.signal);
  assertEquals(stop.listeners, 1);
  clock.tick(99);
  assertEquals(await outcome(asleep), "pending");
  clock.tick(1);
  assertEquals(await outcome(asleep), { value: undefined });
  assertEquals([stop.listeners, clock.pending], [0, 0]);
});

Deno.test("sleep: an abort ends it at once with the signal's reason; the timer is gone", async () => {
  const clock = new ManualClock();
  const stop = new CountedSignal();
  const asleep = sleep(clock, 100, stop.signal);
  stop.abort();
  assertEquals(clock.pending, 0);
  assertStrictEquals(await asleep.catch((error) => error), stop.reason);
});

Deno.test("sleep: with an aborted signal it does not begin", async () => {
  const clock = new ManualClock();
  const stop = new CountedSignal();
  stop.abort();
  assertEquals(await outcome(sleep(clock, 100, stop.signal)), { error: stop.reason });
  assertEquals([stop.listeners, clock.pending], [0, 0]);
});

Deno.test("within: the value when the work is in time, without a timer left", async () => {
  const clock = new ManualClock();
  const work = Promise.withResolvers<string>();
  const waiting = within(clock, 100, work.promise);
  clock.tick(99);
  work.resolve("made");
  assertEquals(await waiting, { done: true, value: "made" });
  assertEquals(clock.pending, 0);
});

Deno.test("within: out of time; what the work does later disturbs nobody", async () => {
  const clock = new ManualClock();
  const work = Promise.withResolvers<string>();
  const waiting = within(clock, 100, work.promise);
  clock.tick(100);
  assertEquals(await waiting, { done: false });
  // Were this unhandled, the runtime would fail the test.
  work.reject(new Error("too late to matter"));
  await turn();
});

Deno.test("within: the work's own error, in time", async () => {
  const clock = new ManualClock();
  const work = Promise.reject(new Error("broken"));
  await assertRejects(() => within(clock, 100, work), Error, "broken");
  assertEquals(clock.pending, 0);
});

Deno.test("within: without a bound it waits as long as the work takes, and sets no timer", async () => {
  const clock = new ManualClock();
  const work = Promise.withResolvers<string>();
  const waiting = within(clock, undefined, work.promise);
  clock.tick(1e12);
  assertEquals([clock.pending, await outcome(waiting)], [0, "pending"]);
  work.resolve("made");
  assertEquals(await waiting, { done: true, value: "made" });
});

Deno.test("abortable: passes value and error on, and leaves no listener", async () => {
  const stop = new CountedSignal();
  assertEquals(await abortable(Promise.resolve(1), stop.signal), 1);
  await assertRejects(
    () => abortable(Promise.reject(new Error("broken")), stop.signal),
    Error,
    "broken",
  );
  await turn();
  assertEquals(stop.listeners, 0);
  assertEquals(await abortable(Promise.resolve(2)), 2);
});

Deno.test("abortable: an abort ends the wait with the signal's reason, not the work's later error", async () => {
  const stop = new CountedSignal();
  const work = Promise.withResolvers<string>();
  const waiting = abortable(work.promise, stop.signal);
  assertEquals(await outcome(waiting), "pending");
  stop.abort();
  assertEquals(await outcome(waiting), { error: stop.reason });
  // Were either unhandled, the runtime would fail the test.
  const late = abortable(work.promise, stop.signal);
  work.reject(new Error("too late to matter"));
  assertEquals(await outcome(late), { error: stop.reason });
});

Deno.test("abortable: with an aborted signal, work that fails later is no unhandled error", async () => {
  const stop = new CountedSignal();
  stop.abort();
  const work = Promise.withResolvers<string>();
  assertEquals(await outcome(abortable(work.promise, stop.signal)), { error: stop.reason });
  work.reject(new Error("too late to matter"));
  await turn();
});

Deno.test("stamp: ISO 8601 in UTC with milliseconds", () => {
  assertEquals(stamp(Date.UTC(2026, 1, 3, 4, 5, 6, 7)), "2026-02-03T04:05:06.007Z");
});
