/** Which job goes to which pool, and when: priorities, limits, pools, timeouts, unique ones. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { DONE, driverOf, EMPTY, JobsPool, newJob, pool, say, Stage } from "./kit.ts";

Deno.test("the most urgent of all pipelines first, then who came first", async () => {
  await using stage = await Stage.live({ a: { priority: 5 }, b: { priority: 1 } }, {
    num_pollers: 1,
  });
  await stage.push("first", {}, "a");
  const first = await stage.next();
  for (const name of ["a1", "a2"]) await stage.push(name, {}, "a");
  for (const name of ["b1", "b2"]) await stage.push(name, {}, "b");
  await stage.push("a0", { priority: 1 }, "a");
  await stage.settled();
  say(first, DONE);
  for (let i = 0; i < 5; i++) say(await stage.next(), DONE);
  assertEquals(stage.pool.names, ["first", "b1", "b2", "a0", "a1", "a2"]);
});

Deno.test("as many at the pool as it has workers, and two; and with more workers more", async () => {
  await using stage = await Stage.live();
  await stage.intake.engine.push("mail", Array.from({ length: 9 }, (_, i) => newJob(`${i}`)));
  await stage.settled();
  assertEquals(stage.pool.calls.length, 3);
  stage.pool.become(4);
  assertEquals(stage.pool.calls.length, 6);
  for (const call of stage.pool.calls) say(call, DONE);
  await stage.settled();
  assertEquals(stage.pool.calls.length, 9);
});

Deno.test("parallelism: no more of a pipeline at workers; others go by", async () => {
  await using stage = await Stage.live({ slow: { parallelism: 1, priority: 1 }, mail: {} });
  stage.pool.become(5);
  for (const name of ["s1", "s2", "s3"]) await stage.push(name, {}, "slow");
  for (const name of ["m1", "m2"]) await stage.push(name);
  await stage.settled();
  assertEquals(stage.pool.names, ["s1", "m1", "m2"]);
  say(stage.pool.calls[0], DONE);
  await stage.settled();
  assertEquals(stage.pool.names, ["s1", "m1", "m2", "s2"]);
  say(stage.pool.calls[3], DONE);
  await stage.settled();
  assertEquals(stage.pool.names.at(-1), "s3");
});

Deno.test("rate: no more begin in a time; what could begin before is not saved up", async () => {
  await using stage = await Stage.live({ mail: { rate: { jobs: 2, per: 60_000 } } });
  stage.pool.become(50);
  await stage.clock.advance(600_000);
  await stage.intake.engine.push("mail", Array.from({ length: 4 }, (_, i) => newJob(`${i}`)));
  await stage.settled();
  assertEquals(stage.pool.names, ["0"]);
  await stage.clock.advance(29_999);
  assertEquals(stage.pool.names, ["0"]);
  await stage.clock.advance(1);
  assertEquals(stage.pool.names, ["0", "1"]);
  await stage.clock.advance(60_001);
  assertEquals(stage.pool.names, ["0", "1", "2", "3"]);
});

Deno.test("prefetch: no more are taken than that", async () => {
  await using stage = await Stage.live({ mail: { prefetch: 4 } });
  await stage.intake.engine.push("mail", Array.from({ length: 10 }, (_, i) => newJob(`${i}`)));
  await stage.settled();
  assertEquals(await driverOf(stage), { ...EMPTY, waiting: 6, reserved: 4 });
  for (let i = 0; i < 10; i++) say(await stage.next(), DONE);
  await stage.settled();
  assertEquals(await driverOf(stage), EMPTY);
});

Deno.test("pipeline_size: no more wait than that, of all pipelines", async () => {
  await using stage = await Stage.live({ a: {}, b: {} }, { pipeline_size: 5 });
  for (const pipeline of ["a", "b"]) {
    const jobs = Array.from({ length: 10 }, (_, i) => newJob(`${pipeline}${i}`));
    await stage.intake.engine.push(pipeline, jobs);
  }
  await stage.settled();
  const { reserved: a } = await driverOf(stage, "a");
  const { reserved: b } = await driverOf(stage, "b");
  // Three more are at the pool; a loop that asked before may have one batch more.
  assert(a + b <= 5 + 3 + 5, `${a} and ${b}`);
  for (let i = 0; i < 20; i++) say(await stage.next(), DONE);
  await stage.settled();
  assertEquals([await driverOf(stage, "a"), await driverOf(stage, "b")], [EMPTY, EMPTY]);
});

Deno.test("a pool without workers: the job waits, is no failure, and goes when one comes", async () => {
  await using stage = await Stage.live();
  await stage.push("a");
  stage.pool.become(0);
  (await stage.next()).fail("no_worker", "no worker became free");
  await stage.settled();
  assertEquals(stage.pool.calls.length, 1);
  const reason = "no worker became free";
  assertEquals(stage.events("jobs_waiting"), [{ pool: "jobs", reason, next_try_ms: 1000 }]);
  await stage.clock.advance(1000);
  (await stage.next()).fail("no_worker");
  await stage.settled();
  assertEquals(stage.pool.calls.length, 2);
  stage.pool.become(1);
  say(await stage.next(), DONE);
  await stage.settled();
  const { counts } = await stage.numbers();
  assertEquals([counts.done, counts.failed], [1, 0]);
});

Deno.test("named pools: each pipeline has its own, and the job says so", async () => {
  await using stage = await Stage.live({ mail: { pool: "one" }, other: {} }, {
    pool: undefined,
    pools: { one: pool, default: pool },
  });
  const [one, standard] = ["jobs.one", "jobs.default"].map((name) =>
    stage.pools.find((pool) => pool.name === name) as JobsPool
  );
  await stage.push("a");
  await stage.push("b", {}, "other");
  const call = await one.next();
  assertEquals([call.context.job, call.context.headers], ["a", { pool: ["one"] }]);
  say(call, DONE);
  say(await standard.next(), DONE);
  assertEquals([one.names, standard.names], [["a"], ["b"]]);
});

Deno.test("a job's own timeout is the worker's limit", async () => {
  await using stage = await Stage.live({ mail: { timeout: 5000 } });
  await stage.push("a");
  const call = await stage.next();
  assertEquals(call.request.exec_ttl, 5000);
  say(call, DONE);
});

Deno.test("unique: by key or header, within the window", async () => {
  await using stage = await Stage.live({ mail: { unique: { window: 60_000 } }, other: {} });
  await stage.push("a", { unique: "k" });
  await stage.push("b", { headers: { unique: ["k"] } });
  await stage.push("c");
  say(await stage.next(), DONE);
  say(await stage.next(), DONE);
  await stage.settled();
  assertEquals(stage.pool.names, ["a", "c"]);
  await assertRejects(() => stage.push("a", { unique: "k" }, "other"), Error, "keeps no keys");
});
