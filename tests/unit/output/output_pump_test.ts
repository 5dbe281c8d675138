import { assertEquals, assertRejects } from "@std/assert";
import { Pump, type TurnTaker } from "../../../lib/process/output_pump.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

/** Takes a number of turns and tells when they are over. */
class Taker implements TurnTaker {
  readonly #over = Promise.withResolvers<void>();

  constructor(private left: number, private readonly spend: () => Promise<void> | void) {}

  get over(): Promise<void> {
    return this.#over.promise;
  }

  async turn(): Promise<boolean> {
    await this.spend();
    if (--this.left <= 0) this.#over.resolve();
    return this.left > 0;
  }
}

Deno.test("everybody gets a turn before anybody gets a second one; tasks go first", async () => {
  const pump = new Pump(new ManualClock(), 1);
  const order: string[] = [];
  const chatty = new Taker(4, () => void order.push("chatty"));
  const others = ["a", "b"].map((name) => new Taker(2, () => void order.push(name)));
  pump.wake(chatty);
  pump.wake(chatty); // once is enough
  for (const other of others) pump.wake(other);
  await pump.run(() => order.push("task"));
  await Promise.all([chatty.over, ...others.map(({ over }) => over)]);
  await pump.close();
  assertEquals(order.join(" "), "task chatty a b chatty a b chatty chatty");
});

Deno.test("turns never overlap, tasks run between them, and their failure is the caller's", async () => {
  const pump = new Pump(new ManualClock(), 1);
  let inside = 0;
  let most = 0;
  const spend = async () => {
    most = Math.max(most, ++inside);
    await Promise.resolve();
    inside--;
  };
  const takers = [new Taker(5, spend), new Taker(5, spend)];
  for (const taker of takers) pump.wake(taker);
  const task = pump.run(spend);
  await assertRejects(() => pump.run(() => Promise.reject(new Error("no"))), Error, "no");
  await task;
  for (const { over } of takers) await over;
  await pump.close();
  assertEquals(most, 1);
});

Deno.test("after eight milliseconds of turns it rests for as long", async () => {
  const clock = new ManualClock();
  const pump = new Pump(clock, 1);
  let turns = 0;
  const taker = new Taker(4, () => {
    turns++;
    clock.tick(5);
  });
  pump.wake(taker);
  await clock.advance(0);
  assertEquals([turns, clock.next], [2, 10]);
  await clock.advance(9);
  assertEquals(turns, 2);
  await clock.advance(1);
  assertEquals(turns, 4);
  await taker.over;
  await clock.advance(10);
  await pump.close();
  assertEquals(clock.pending, 0);
});

Deno.test("after close nobody gets a turn, but tasks are still done", async () => {
  const pump = new Pump(new ManualClock(), 1);
  let turns = 0;
  pump.wake(new Taker(1000, () => void turns++));
  await pump.run(() => {});
  await pump.close();
  const before = turns;
  pump.wake(new Taker(1, () => void turns++));
  assertEquals(await pump.run(() => "done"), "done");
  assertEquals(turns, before);
});
