/** What can be asked of pipelines while they are at work, and what a reload makes of them. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { JobsConfig } from "../../../../lib/config/roadrunner/jobs.ts";
import { Failure } from "../../../../lib/core/failure.ts";
import { MemoryDriver } from "../../../../plugins/jobs/memory.ts";
import { pipelineStates } from "../../../../plugins/jobs/states.ts";
import { DONE, jobsOf, newJob, pool, say, Stage, withJobs } from "./kit.ts";

function names(stage: Stage): string[] {
  return stage.intake.engine.pipelines().map(({ name }) => name);
}

Deno.test("a push names its pipeline, gets an id and the pipeline's priority", async () => {
  await using stage = await Stage.live({ "App.Mail": { priority: 4 } });
  const error = await assertRejects(() => stage.push("a", {}, "app.mail"), Failure);
  assertEquals(error.message, "no such pipeline, requested: app.mail");
  assertMatch(error.fix!, /App\.Mail/);
  const [id] = await stage.push("a", {}, "App.Mail");
  assertMatch(id, /^[0-9a-f-]{36}$/);
  const [other] = await stage.push("b", { id: "" }, "App.Mail");
  assertMatch(other, /^[0-9a-f-]{36}$/);
  say(await stage.next(), DONE);
  say(await stage.next(), DONE);
});

Deno.test("a push that is not stored is refused, counted, and stores nothing of its batch", async () => {
  const config = { max_jobs: 2, max_size: 1000 };
  await using stage = new Stage(jobsOf({ mail: { config } }));
  await stage.intake.start();
  const three = ["a", "b", "c"].map((name) => newJob(name));
  await assertRejects(() => stage.intake.engine.push("mail", three), Failure, "is full");
  const { waiting, counts } = await stage.numbers();
  assertEquals([waiting, counts.refused, counts.pushed], [0, 3, 0]);
});

Deno.test("a push whose caller is gone stores nothing", async () => {
  await using stage = new Stage(jobsOf({ mail: {} }));
  await stage.intake.start();
  const reason = new Error("gone");
  const given = stage.intake.engine.push("mail", [newJob("a")], AbortSignal.abort(reason));
  assertEquals(await given.catch((error) => error), reason);
  assertEquals((await stage.numbers()).waiting, 0);
});

Deno.test("declared: idle until resume, then as any other; destroyed: gone", async () => {
  await using stage = await Stage.live();
  const { engine } = stage.intake;
  const values = { name: "App.New", driver: "memory", priority: "3", prefetch: "10" };
  await engine.declare(values);
  assertEquals(engine.pipelines().map((one) => [one.name, one.consuming, one.priority]), [
    ["mail", true, 10],
    ["App.New", false, 3],
  ]);
  await stage.push("a", {}, "App.New");
  await stage.settled();
  assertEquals(stage.pool.calls.length, 0);
  await engine.resume("App.New");
  say(await stage.next(), DONE);
  await assertRejects(
    () => engine.declare(values),
    Failure,
    "pipeline already exists, name: App.New, driver: memory",
  );
  await stage.settled();
  await engine.destroy("App.New");
  assertEquals(names(stage), ["mail"]);
  await assertRejects(() => engine.destroy("App.New"), Failure, "no such pipeline");
  await engine.declare(values);
});

Deno.test("declared at the same time under one name: one of them", async () => {
  await using stage = await Stage.live();
  const declare = () => stage.intake.engine.declare({ name: "x", driver: "memory" });
  const both = await Promise.allSettled([declare(), declare()]);
  assertEquals(both.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
});

const LATE: [what: string, jobs: JobsConfig | undefined, why: RegExp][] = [
  ["removes the section", undefined, /there is no section jobs/],
  ["writes the same name", jobsOf({ mail: {}, x: { priority: 3 } }), /already exists, name: x/],
];

for (const [what, jobs, why] of LATE) {
  Deno.test(`declared while a reload ${what}: refused, and nothing is left of it`, async () => {
    await using stage = await Stage.live();
    const { intake } = stage;
    const next = withJobs(jobs);
    const rebinding = await intake.rebind(next);
    const declared = intake.engine.declare({ name: "x", driver: "memory" });
    rebinding?.commit();
    intake.configure(next);
    assertMatch((await assertRejects(() => declared, Failure)).message, why);
    assertEquals(names(stage), Object.keys(jobs?.pipelines ?? {}));
    assertEquals(stage.events("pipeline_declared"), []);
  });
}

const BAD: [values: Record<string, string>, why: RegExp][] = [
  [{ name: "x" }, /^no associated driver with the pipeline$/],
  [{ name: "x", driver: "sqs" }, /driver names "sqs", which this version does not support yet/],
  [{ name: "x", driver: "nonsense" }, /driver must be a driver of jobs, got "nonsense"/],
  [{ driver: "memory" }, /name is missing/],
  [{ name: "", driver: "memory" }, /name must be letters/],
  [{ name: "x", driver: "memory", colour: "blue" }, /takes no "colour"/],
  [{ name: "x", driver: "memory", priority: "high" }, /priority/],
  [{ name: "x", driver: "memory", pool: "gold" }, /names the pool gold, which is not there/],
  [{ name: "x", driver: "memory", dead_letter: "nobody" }, /no such pipeline, requested: nobody/],
];

for (const [values, why] of BAD) {
  Deno.test(`refused to declare: ${JSON.stringify(values)}`, async () => {
    await using stage = await Stage.live();
    const error = await assertRejects(() => stage.intake.engine.declare(values), Failure);
    assertMatch(error.message, why);
    assertEquals(names(stage), ["mail"]);
  });
}

Deno.test("destroy waits for what workers have of it", async () => {
  await using stage = await Stage.live();
  await stage.push("a");
  const call = await stage.next();
  let gone = false;
  const destroying = stage.intake.engine.destroy("mail").then(() => gone = true);
  await stage.settled();
  assertEquals([gone, names(stage)], [false, []]);
  say(call, DONE);
  await destroying;
  assertEquals(stage.events("jobs_lost"), []);
});

Deno.test("a reload: pipelines come, go and change while the others work on", async () => {
  await using stage = await Stage.live({ stay: {}, go: {} });
  stage.pool.become(20);
  await stage.push("held", {}, "stay");
  const held = await stage.next();
  await stage.push("lost", { delay: 5000 }, "go");
  await stage.reload(jobsOf({ stay: { priority: 2, parallelism: 2 }, come: {} }));
  assertEquals(names(stage), ["stay", "come"]);
  say(held, DONE);
  await stage.push("a", {}, "come");
  say(await stage.next(), DONE);
  for (const name of ["b", "c", "d"]) await stage.push(name, {}, "stay");
  await stage.settled();
  assertEquals(stage.pool.names.slice(2), ["b", "c"]);
  for (const call of stage.pool.calls.slice(2)) say(call, DONE);
  await stage.settled();
  say(stage.pool.calls.at(-1)!, DONE);
  const [{ pipeline, jobs }] = stage.events("jobs_lost");
  assertEquals([pipeline, jobs], ["go", 1]);
});

Deno.test("a reload resumes and pauses where consume changed, and only there", async () => {
  await using stage = await Stage.live({ a: {}, b: {} }, { consume: ["a"] });
  const states = () => stage.intake.engine.pipelines().map(({ consuming }) => consuming);
  const reload = (consume: string[]) => stage.reload(jobsOf({ a: {}, b: {} }, { consume }));
  assertEquals(states(), [true, false]);
  await stage.intake.engine.pause("a");
  await reload(["a"]);
  assertEquals(states(), [false, false]);
  await reload(["a", "b"]);
  assertEquals(states(), [false, true]);
  await reload([]);
  assertEquals(states(), [false, false]);
  await reload(["a"]);
  assertEquals(states(), [true, false]);
});

Deno.test("the section removed: nothing is left; written again: all is there", async () => {
  await using stage = await Stage.live();
  await stage.reload(undefined);
  await stage.settled();
  assertEquals([names(stage), stage.intake.snapshot().state], [[], "closed"]);
  assertEquals((await stage.build()).target, undefined);
  await stage.reload(jobsOf({ mail: {} }));
  stage.intake.swap(await stage.build());
  await stage.push("a");
  say(await stage.next(), DONE);
});

Deno.test("a reload that fails before its commit leaves what was", async () => {
  await using stage = await Stage.live();
  const { intake } = stage;
  const { configOf } = await import("../../release/configs.ts");
  const sections = { jobs: jobsOf({ mail: {}, other: {} }) };
  const rebinding = await intake.rebind(configOf([], { proxy: undefined, sections }));
  rebinding!.undo();
  assertEquals(names(stage), ["mail"]);
});

Deno.test("another number of pollers is in force at once", async () => {
  await using stage = await Stage.live({ mail: {} }, { num_pollers: 1 });
  await stage.intake.engine.push("mail", ["a", "b", "c"].map((name) => newJob(name)));
  await stage.settled();
  assertEquals(stage.pool.calls.length, 1);
  await stage.reload(jobsOf({ mail: {} }, { num_pollers: 3, pool }));
  assertEquals(stage.pool.calls.length, 3);
  for (const call of stage.pool.calls) say(call, DONE);
});

Deno.test("numbers that a driver does not say: why is told in their place", async () => {
  await using stage = await Stage.live();
  const { stat } = MemoryDriver.prototype;
  const answered = async () => {
    const asked = stage.intake.engine.stat();
    await stage.clock.advance(5_000);
    const stats = await asked;
    return [stats[0].stat, stats[0].stat_error, pipelineStates(stats)[0].error_message];
  };
  try {
    MemoryDriver.prototype.stat = () => Promise.reject(new Error("no broker"));
    assertEquals(await answered(), [undefined, "no broker", "no broker"]);
    MemoryDriver.prototype.stat = () => new Promise(() => {});
    const late = "it did not say its numbers within 5s";
    assertEquals(await answered(), [undefined, late, late]);
  } finally {
    MemoryDriver.prototype.stat = stat;
  }
  assertEquals((await answered())[1], undefined);
});
