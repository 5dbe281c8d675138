/** What workers still have when the section, the release or the daemon goes. */

import { assertEquals } from "@std/assert";
import { DONE, driverOf, EMPTY, say, Stage } from "./kit.ts";

Deno.test("a section that goes: what a worker has is finished within the budget it had", async () => {
  await using stage = await Stage.live({ mail: {} }, { drain_timeout: 90_000 });
  await stage.push("a");
  const call = await stage.next();
  await stage.reload(undefined);
  assertEquals(stage.intake.drainBudget(), 90_000);
  const draining = stage.intake.swap(await stage.build());
  draining.within(stage.intake.drainBudget());
  await stage.clock.advance(89_999);
  assertEquals([draining.held, call.cancelled], [1, false]);
  say(call, DONE);
  await draining.idle;
  await stage.settled();
  assertEquals(draining.wasCut, 0);
  assertEquals([stage.events("job_unsettled"), stage.events("jobs_lost")], [[], []]);
});

Deno.test("the end waits for what a retired release still has", async () => {
  await using stage = await Stage.live();
  const target = stage.intake.gate.live!;
  await stage.push("a");
  const call = await stage.next();
  stage.intake.swap(await stage.build()).within(60_000);
  let isOver = false;
  const end = stage.intake.drain(60_000).finally(() => isOver = true);
  await stage.settled();
  assertEquals(isOver, false);
  say(call, DONE);
  assertEquals(await end, { cut: 0 });
  await stage.intake.drop({ target });
  await stage.settled();
  assertEquals(await driverOf(stage), EMPTY);
});

Deno.test("the end gives a retired release no more time than it had", async () => {
  await using stage = await Stage.live();
  const target = stage.intake.gate.live!;
  await stage.push("a");
  const call = await stage.next();
  stage.intake.swap(await stage.build()).within(1000);
  const end = stage.intake.drain(60_000);
  await stage.clock.advance(1000);
  assertEquals([await end, call.cancelled], [{ cut: 1 }, true]);
  await stage.intake.drop({ target });
  await stage.settled();
  assertEquals(await driverOf(stage), { ...EMPTY, waiting: 1 });
});

Deno.test("a cut reaches every release that has jobs", async () => {
  await using stage = await Stage.live();
  const targets = [stage.intake.gate.live!];
  await stage.push("a");
  const calls = [await stage.next()];
  const old = stage.intake.swap(await stage.build());
  targets.push(stage.intake.gate.live!);
  await stage.push("b");
  calls.push(await stage.next());
  stage.intake.cut();
  await old.idle;
  assertEquals(calls.map(({ cancelled }) => cancelled), [true, true]);
  for (const target of targets) await stage.intake.drop({ target });
  await stage.settled();
  assertEquals(await driverOf(stage), { ...EMPTY, waiting: 2 });
});
