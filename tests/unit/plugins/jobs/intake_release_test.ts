/** Jobs while what runs them changes: releases that come and go, the end, a pause. */

import { assertEquals, assertRejects } from "@std/assert";
import { DONE, driverOf, EMPTY, jobsOf, newJob, say, Stage } from "./kit.ts";

Deno.test("before a release is live jobs are stored, and nothing is taken", async () => {
  await using stage = new Stage(jobsOf({ mail: {} }));
  await stage.intake.start();
  await stage.push("a");
  await stage.settled();
  assertEquals(await driverOf(stage), { ...EMPTY, waiting: 1 });
  stage.intake.swap(await stage.build());
  say(await stage.next(), DONE);
});

Deno.test("a swap: what a worker has is finished, what none has goes to the new one", async () => {
  await using stage = await Stage.live();
  const old = stage.pool;
  const generation = stage.intake.gate.live!;
  await stage.intake.engine.push("mail", ["a", "b", "c", "d"].map((name) => newJob(name)));
  await stage.settled();
  assertEquals(old.names, ["a", "b", "c"]);
  old.calls[1].waiting = old.calls[2].waiting = true;
  const next = await stage.build();
  const draining = stage.intake.swap(next);
  draining.within(60_000);
  await stage.settled();
  assertEquals(draining.held, 1);
  assertEquals(stage.pool.names.toSorted(), ["b", "c", "d"]);
  for (const call of stage.pool.calls) say(call, DONE);
  await stage.settled();
  say(old.calls[0], DONE);
  await draining.idle;
  assertEquals(draining.wasCut, 0);
  await stage.intake.drop({ target: generation });
  await stage.settled();
  const { counts } = await stage.numbers();
  assertEquals([counts.done, await driverOf(stage)], [4, EMPTY]);
});

Deno.test("a drain that is cut: handed back when its workers are gone, as the same attempt", async () => {
  await using stage = await Stage.live();
  const old = stage.pool;
  const target = stage.intake.gate.live!;
  await stage.push("a");
  await stage.next();
  const draining = stage.intake.swap(await stage.build());
  draining.within(1000);
  await stage.clock.advance(1000);
  await draining.idle;
  assertEquals([draining.wasCut, old.calls[0].cancelled], [1, true]);
  assertEquals(stage.pool.calls.length, 0);
  await stage.intake.drop({ target });
  assertEquals(old.hurried, 0, "nobody waits for what its workers still do");
  say(await stage.next(), DONE);
  await stage.settled();
  const { counts } = await stage.numbers();
  assertEquals([counts.done, counts.failed, counts.delivered], [1, 0, 2]);
});

Deno.test("the end: nothing more is begun, what waits is handed back, what is held is finished", async () => {
  await using stage = await Stage.live();
  await stage.intake.engine.push("mail", Array.from({ length: 8 }, (_, i) => newJob(`${i}`)));
  await stage.settled();
  const draining = stage.intake.drain(60_000);
  await stage.settled();
  assertEquals(await driverOf(stage), { ...EMPTY, waiting: 5, reserved: 3 });
  await stage.push("late");
  for (const call of [...stage.pool.calls]) say(call, DONE);
  assertEquals(await draining, { cut: 0 });
  assertEquals([stage.pool.calls.length, await driverOf(stage)], [3, { ...EMPTY, waiting: 6 }]);
});

Deno.test("the end in a hurry cuts a drain that is on", async () => {
  await using stage = await Stage.live();
  const target = stage.intake.gate.live!;
  await stage.push("a");
  await stage.next();
  const draining = stage.intake.drain(Infinity);
  stage.intake.cut();
  assertEquals(await draining, { cut: 1 });
  await stage.intake.drop({ target });
  await stage.settled();
  assertEquals(await driverOf(stage), { ...EMPTY, waiting: 1 });
});

Deno.test("pause hands back what no worker has; resume goes on", async () => {
  await using stage = await Stage.live();
  const { engine } = stage.intake;
  await engine.push("mail", Array.from({ length: 5 }, (_, i) => newJob(`${i}`)));
  await stage.settled();
  await engine.pause("mail");
  assertEquals(await driverOf(stage), { ...EMPTY, waiting: 2, reserved: 3 });
  for (const call of stage.pool.calls) say(call, DONE);
  await stage.settled();
  assertEquals(stage.pool.calls.length, 3);
  await assertRejects(() => engine.pause("mail"), Error, "nothing to pause");
  await engine.resume("mail");
  assertEquals((await stage.next()).context.job, "0");
  await assertRejects(
    async () => await engine.resume("mail"),
    Error,
    "already in the active state",
  );
  for (const call of stage.pool.calls.slice(3)) say(call, DONE);
});

Deno.test("taken in the very moment of a pause: handed back, not begun", async () => {
  await using stage = await Stage.live();
  await stage.settled();
  await Promise.all([stage.push("a"), stage.intake.engine.pause("mail")]);
  await stage.settled();
  assertEquals([stage.pool.calls.length, await driverOf(stage)], [0, { ...EMPTY, waiting: 1 }]);
});
