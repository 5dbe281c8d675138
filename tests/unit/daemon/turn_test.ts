/** Taking turns. */

import { assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { Turn } from "../../../lib/daemon/turn.ts";
import { ManualClock, turn as settle } from "../../kit/manual_clock.ts";
import { forSeeds } from "../../kit/random.ts";

const MAX_WAITING = 16;
const END = new Failure("the daemon is shutting down");

/** Work that a test ends by hand. */
function job() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let signal: AbortSignal | undefined;
  const work = (given: AbortSignal) => {
    signal = given;
    return promise;
  };
  return { work, resolve, reject, begun: () => signal !== undefined, signal: () => signal! };
}

Deno.test("one after the other, in the order of arrival", async () => {
  const turn = new Turn(new ManualClock());
  const jobs = [job(), job(), job()];
  const waits: string[] = [];
  const runs = jobs.map((one, i) =>
    turn.run(`job ${i}`, one.work, (behind) => waits.push(`${i} behind ${behind}`))
  );
  await settle();
  assertEquals(jobs.map((one) => one.begun()), [true, false, false]);
  assertEquals(waits, ["1 behind job 0", "2 behind job 1"]);
  assertEquals([turn.doing?.name, turn.waiting], ["job 0", ["job 1", "job 2"]]);
  assertEquals(turn.doing?.since, "2030-01-01T00:00:00.000Z");
  jobs[0].resolve("done");
  assertEquals(await runs[0], "done");
  await settle();
  assertEquals(jobs.map((one) => one.begun()), [true, true, false]);
  jobs[1].reject(new Error("broken"));
  await assertRejects(() => runs[1], Error, "broken");
  await settle();
  assertEquals([turn.doing?.name, turn.waiting], ["job 2", []]);
  jobs[2].resolve("too");
  await runs[2];
  await turn.idle;
  assertEquals([turn.doing, turn.waiting], [undefined, []]);
});

Deno.test("who comes while the next one is being let in waits behind it", async () => {
  const turn = new Turn(new ManualClock());
  const [a, b, c] = [job(), job(), job()];
  const order: string[] = [];
  const first = turn.run("a", a.work).then(() => order.push("a"));
  const second = turn.run("b", b.work).then(() => order.push("b"));
  a.resolve("");
  await Promise.resolve();
  const third = turn.run("c", c.work).then(() => order.push("c"));
  c.resolve("");
  await settle();
  b.resolve("");
  await Promise.all([first, second, third]);
  assertEquals(order, ["a", "b", "c"]);
});

Deno.test("the line is bounded", async () => {
  const turn = new Turn(new ManualClock());
  const first = job();
  const runs = [turn.run("first", first.work)];
  for (let i = 0; i < MAX_WAITING; i++) runs.push(turn.run(`job ${i}`, () => Promise.resolve("")));
  const failure = await assertRejects(() => turn.run("late", () => Promise.resolve()), Failure);
  assertEquals(failure.message, '"late" cannot wait: 16 operations are in line already');
  assertEquals(turn.waiting.length, MAX_WAITING);
  first.resolve("");
  await Promise.all(runs);
});

Deno.test("close refuses the waiting and tells what runs to end; idle when it has", async () => {
  const turn = new Turn(new ManualClock());
  const [a, b] = [job(), job()];
  const running = turn.run("a", a.work);
  const refused = assertRejects(() => turn.run("b", b.work), Failure, END.message);
  await settle();
  turn.close(END);
  assertEquals(a.signal().reason, END);
  await refused;
  await assertRejects(() => turn.run("c", b.work), Failure, END.message);
  let idle = false;
  const whenIdle = turn.idle.then(() => idle = true);
  await settle();
  assertEquals([idle, b.begun()], [false, false]);
  a.resolve("ended");
  assertEquals(await running, "ended");
  await whenIdle;
});

Deno.test("whatever had not begun at the close does not begin, down to the microtask", async () => {
  for (let microtasks = 0; microtasks < 10; microtasks++) {
    const turn = new Turn(new ManualClock());
    const [a, b] = [job(), job()];
    const first = turn.run("a", a.work);
    const second = turn.run("b", b.work).catch((error) => error.message);
    a.resolve("");
    for (let i = 0; i < microtasks; i++) await Promise.resolve();
    const had = b.begun();
    turn.close(END);
    await first;
    await settle();
    assertEquals(b.begun(), had, `${microtasks} microtasks after the end of the one before`);
    if (had) b.resolve("ended");
    assertEquals(await second, had ? "ended" : END.message);
    await turn.idle;
  }
});

Deno.test("an idle one is idle at once, also closed", async () => {
  const turn = new Turn(new ManualClock());
  await turn.idle;
  turn.close(END);
  await turn.idle;
  await assertRejects(() => turn.run("a", () => Promise.resolve()), Failure, END.message);
});

Deno.test("random work: never two at once, nobody overtakes, everybody is answered", () =>
  forSeeds(100, async (random) => {
    const turn = new Turn(new ManualClock());
    let running = 0;
    let count = 0;
    const order: number[] = [];
    const accepted: number[] = [];
    const open: (() => void)[] = [];
    const answers: Promise<unknown>[] = [];
    for (let step = 0; step < 60; step++) {
      if (random.chance(0.5)) {
        const id = count++;
        const full = turn.doing !== undefined && turn.waiting.length >= MAX_WAITING;
        if (!full) accepted.push(id);
        answers.push(
          turn.run(String(id), async () => {
            if (++running > 1) throw new Error("two at once");
            order.push(id);
            await new Promise<void>((resolve) => open.push(resolve));
            running--;
            if (id % 3 === 0) throw new Failure("broken");
          }).catch((error) => {
            if (!(error instanceof Failure)) throw error;
          }),
        );
      } else open.shift()?.();
      if (random.chance(0.5)) await settle();
    }
    while (turn.doing !== undefined) {
      open.shift()?.();
      await settle();
    }
    await Promise.all([...answers, turn.idle]);
    assertEquals(order, accepted);
  }));
