/** The pieces that drivers are made of. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Failure } from "../../../../lib/core/failure.ts";
import { Closing } from "../../../../plugins/jobs/closing.ts";
import { InTurn } from "../../../../plugins/jobs/in_turn.ts";
import { SettleTries } from "../../../../plugins/jobs/settle_tries.ts";
import { Underway } from "../../../../plugins/jobs/underway.ts";
import { Waiters } from "../../../../plugins/jobs/waiters.ts";
import { ManualClock, turn } from "../../../kit/manual_clock.ts";
import { jobOf } from "./conformance/kit.ts";

Deno.test("who waits hears one thing", async () => {
  const waiters = new Waiters<string>();
  const end = new AbortController();
  let gone = 0;
  const one = waiters.wait(undefined, end.signal, () => gone++);
  const reason = new Error("enough");
  end.abort(reason);
  assertEquals(await one.catch((error) => error), reason);
  const late = waiters.wait(undefined, end.signal, () => gone++);
  assertEquals(await late.catch((error) => error), reason);
  const other = waiters.wait(undefined, new AbortController().signal, () => gone++);
  const refused = assertRejects(() => other, Failure, "closed");
  waiters.refuse(new Failure("closed"));
  await refused;
  assertEquals([waiters.size, gone], [0, 1]);
});

Deno.test("who came first is served first, as long as there is something", async () => {
  const waiters = new Waiters<number[], number>();
  const got: number[][] = [];
  for (const most of [2, 5, 1]) waiters.wait(most).then((some) => got.push(some));
  const some = [1, 2, 3];
  assertEquals(waiters.first, 2);
  // Nobody gets ahead of one for whom there is nothing yet.
  waiters.serve((most) => most === 2 ? undefined : some.splice(0, most));
  assertEquals([waiters.size, some.length], [3, 3]);
  waiters.serve((most) => some.length > 0 ? some.splice(0, most) : undefined);
  await turn();
  assertEquals(got, [[1, 2], [3]]);
  assertEquals([waiters.size, waiters.first], [1, 1]);
});

Deno.test("in turn: one after the other; who leaves before its turn is not begun, who fails costs nobody", async () => {
  const line = new InTurn();
  const done: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = line.run(async () => {
    await gate.promise;
    done.push("first");
    throw new Error("it failed");
  });
  const leaving = new AbortController();
  const left = line.run(() => Promise.resolve(done.push("left")), leaving.signal);
  const last = line.run(() => Promise.resolve(done.push("last")));
  leaving.abort(new Error("enough"));
  await assertRejects(() => left, Error, "enough");
  assertEquals(done, []);
  gate.resolve();
  await assertRejects(() => first, Error, "it failed");
  await last;
  await line.idle;
  assertEquals(done, ["first", "last"]);
});

Deno.test("lent: what comes for somebody who has left is handed on", async () => {
  const line = new InTurn();
  const gate = Promise.withResolvers<string>();
  const leaving = new AbortController();
  const left: string[] = [];
  const lent = line.lend(() => gate.promise, leaving.signal, (it) => left.push(it));
  leaving.abort(new Error("enough"));
  await assertRejects(() => lent, Error, "enough");
  assertEquals(left, []);
  gate.resolve("a job");
  await line.idle;
  await turn();
  assertEquals(left, ["a job"]);
  const stays = new AbortController().signal;
  assertEquals(await line.lend(() => Promise.resolve("b"), stays, (it) => left.push(it)), "b");
  assertEquals(left, ["a job"]);
});

Deno.test("a settlement is tried again and again, told once, until it is over", async () => {
  const clock = new ManualClock();
  const told: unknown[] = [];
  const over = new AbortController();
  const emit = (name: string, data: unknown) => void told.push([name, data]);
  const settler = { pipeline: "mail", driver: "redis", clock, emit, over: over.signal };
  const tries = new SettleTries(settler);
  const waits: number[] = [];
  for (const trouble of [undefined, new Error("it is full"), new Error("its disk is")]) {
    const since = clock.now();
    const again = tries.again(trouble);
    await clock.advance(waits.length === 0 ? 250 : waits.at(-1)! * 2);
    await again;
    waits.push(clock.now() - since);
  }
  assertEquals(waits, [250, 500, 1000]);
  const error = "how jobs ended cannot be stored, and is tried again: it is full";
  assertEquals(told, [["pipeline_down", { pipeline: "mail", driver: "redis", error }]]);
  const waiting = tries.again();
  over.abort(new Failure("it is closed"));
  await assertRejects(() => waiting, Failure, "it is closed");
  await assertRejects(
    () => new SettleTries(settler).again(new Error("late")),
    Failure,
    "it is closed",
  );
  assertEquals(told.length, 1);
});

Deno.test("closing: begun once; then nothing new, and at its end nothing at all", () => {
  const closing = new Closing("mail");
  closing.check();
  assertEquals([closing.hasBegun, closing.begin(), closing.begin()], [false, true, false]);
  assertThrows(() => closing.check(), Failure, 'pipeline "mail" is closed');
  assertEquals([closing.signal.aborted, closing.over.aborted], [true, false]);
  closing.end();
  assertEquals((closing.over.reason as Failure).message, 'pipeline "mail" is closed');
  const twice = closing.settledTwice({ ...jobOf({ id: "a" }), attempt: 1 });
  assertEquals(twice.message, 'job "a" of pipeline "mail" was settled twice');
});

Deno.test("underway: idle when the last has ended, however it did", async () => {
  const underway = new Underway();
  await underway.idle();
  const gate = Promise.withResolvers<void>();
  const one = underway.run(() => gate.promise);
  const failed = underway.run(() => Promise.reject(new Error("no")));
  let isIdle = false;
  const idle = underway.idle().then(() => isIdle = true);
  await assertRejects(() => failed, Error, "no");
  await turn();
  assertEquals([underway.size, isIdle], [1, false]);
  gate.resolve();
  await Promise.all([one, idle]);
  assertEquals(underway.size, 0);
});
