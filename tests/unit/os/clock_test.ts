import { assert, assertEquals } from "@std/assert";
import { realClock } from "../../../lib/os/clock.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

Deno.test("a timer longer than a single setTimeout can be does not fire at once", async () => {
  let fired = false;
  const long = realClock.timer(2 ** 31 + 1000, () => fired = true);
  await new Promise<void>((resolve) => realClock.timer(20, resolve));
  assertEquals(fired, false);
  long.cancel();
});

Deno.test("a timer never fires early", async () => {
  const began = realClock.now();
  await new Promise<void>((resolve) => realClock.timer(15.4, resolve));
  assert(realClock.now() - began >= 15.4);
});

Deno.test("a cancelled timer does not fire, and cancelling after it fired does nothing", async () => {
  let fired = 0;
  realClock.timer(1, () => fired++).cancel();
  const other = realClock.timer(2, () => fired++);
  await new Promise<void>((resolve) => realClock.timer(10, resolve));
  other.cancel();
  assertEquals(fired, 1);
});

Deno.test("the manual clock runs what is due in order, with what is set meanwhile", async () => {
  const clock = new ManualClock();
  const ran: string[] = [];
  clock.timer(20, () => ran.push(`b@${clock.now()}`));
  clock.timer(10, () => {
    ran.push(`a@${clock.now()}`);
    clock.timer(5, () => ran.push(`c@${clock.now()}`));
  });
  clock.timer(20, () => ran.push(`d@${clock.now()}`)).cancel();
  assertEquals(clock.next, 10);
  await clock.advance(20);
  assertEquals(ran, ["a@10", "c@15", "b@20"]);
  assertEquals([clock.now(), clock.pending], [20, 0]);
});
