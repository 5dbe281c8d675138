/** Jobs on their way to workers and back: order, limits, outcomes, releases that come and go. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { DONE, jobsOf, JobsPool, newJob, pool, say, Stage } from "./kit.ts";

const EMPTY = { waiting: 0, delayed: 0, reserved: 0, dead: 0 };

async function driverOf(stage: Stage, pipeline = "mail") {
  const { waiting, delayed, reserved, dead } = await stage.numbers(pipeline);
  return { waiting, delayed, reserved, dead };
}

Deno.test("a job reaches a worker as the protocol says, and is gone when it is done", async () => {
  await using stage = await Stage.live({ "App.Mail": {} });
  const payload = Uint8Array.of(0, 255, 10);
  const headers = { attempts: ["1", "2"] };
  await stage.push("App\\Mail", { id: "7", payload, headers }, "App.Mail");
  const call = await stage.next();
  assertEquals(call.request.flags, 0x04);
  assertEquals(
    new TextDecoder().decode(call.request.context),
    '{"id":"7","job":"App\\\\Mail","driver":"memory","headers":{"attempts":["1","2"]},' +
      '"queue":"App.Mail","pipeline":"App.Mail"}',
  );
  assertEquals([...call.request.body[0]], [0, 255, 10]);
  assertEquals(call.request.what, "App.Mail App\\Mail");
  assertEquals((await driverOf(stage, "App.Mail")).reserved, 1);
  say(call, DONE);
  await stage.settled();
  assertEquals(await driverOf(stage, "App.Mail"), EMPTY);
});

Deno.test("types 0 and 2 are done, in every spelling", async () => {
  await using stage = await Stage.live();
  for (const answer of [DONE, { type: 0 }, { type: 2, data: [] }, '{ "type" : 0 }']) {
    await stage.push("a");
    say(await stage.next(), answer);
    await stage.settled();
    assertEquals(await driverOf(stage), EMPTY);
  }
  assertEquals((await stage.numbers()).counts.done, 4);
});

const GIVEN_UP = [
  { type: 1, data: { message: "no", requeue: false, headers: { a: ["b"] } } },
  { type: 3, data: { message: "no", requeue: false } },
];

Deno.test("given up without dead letters: dropped, counted and told", async () => {
  await using stage = await Stage.live();
  for (const answer of GIVEN_UP) {
    await stage.push("a", { id: "x" });
    say(await stage.next(), answer);
    await stage.settled();
    assertEquals(await driverOf(stage), EMPTY);
  }
  const { counts } = await stage.numbers();
  assertEquals([counts.dropped, counts.failed, counts.done], [2, 2, 0]);
  assertEquals(stage.events("job_failed")[0], {
    pipeline: "mail",
    job: "a",
    id: "x",
    attempt: 1,
    error: "no",
    then: "dropped",
    release: "v1",
    pid: 4711,
  });
});

Deno.test("given up with dead_letter keep: a dead letter", async () => {
  await using stage = await Stage.live({ mail: { dead_letter: "keep" } });
  await stage.push("a", { id: "x" });
  say(await stage.next(), GIVEN_UP[0]);
  await stage.settled();
  const [dead] = await stage.intake.engine.dead("mail", 5);
  assertEquals([dead.id, dead.error, dead.attempts], ["x", "no", 1]);
  assert(await stage.intake.engine.retry("mail", "x"));
  say(await stage.next(), DONE);
  await stage.settled();
  assertEquals(await driverOf(stage), EMPTY);
});

Deno.test("given up with a dead letter pipeline: pushed there with its story", async () => {
  const dead_letter = { pipeline: "lost" };
  await using stage = await Stage.live({ mail: { dead_letter }, lost: { priority: 3 } });
  await stage.push("a", { id: "x", headers: { own: ["1"] } });
  say(await stage.next(), GIVEN_UP[1]);
  const call = await stage.next();
  assertEquals(call.context, {
    id: "x",
    job: "a",
    driver: "memory",
    headers: {
      own: ["1"],
      dead_letter_from: ["mail"],
      dead_letter_error: ["no"],
      dead_letter_attempts: ["1"],
    },
    queue: "lost",
    pipeline: "lost",
  });
  assertEquals([await driverOf(stage), (await stage.numbers()).counts.dead], [EMPTY, 1]);
  say(call, DONE);
});

const REQUEUED = [
  { type: 1, data: { message: "later", requeue: true, delay_seconds: 5, headers: { b: ["2"] } } },
  { type: 3, data: { message: "later", redelivery: true, delay_seconds: 5, headers: { b: "2" } } },
  { type: 4, data: { message: "later", delay_seconds: 5, headers: { b: [2] } } },
];

Deno.test("asked for again: after its delay, headers merged, not counted as an attempt", async () => {
  await using stage = await Stage.live();
  for (const answer of REQUEUED) {
    await stage.push("a", { headers: { a: ["1"], b: ["1"] } });
    for (let time = 0; time < 7; time++) {
      const call = await stage.next();
      assertEquals(call.context.headers, { a: ["1"], b: [time === 0 ? "1" : "2"] });
      say(call, answer);
      await stage.settled();
      assertEquals(await driverOf(stage), { ...EMPTY, delayed: 1 });
      await stage.clock.advance(4_999);
      assertEquals((await driverOf(stage)).delayed, 1);
      await stage.clock.advance(1);
    }
    say(await stage.next(), DONE);
    await stage.settled();
  }
  assertEquals((await stage.numbers()).counts.requeued, 21);
  assertEquals(stage.events("job_failed"), []);
});

const retry = { max_attempts: 2, backoff: 1000, factor: 2, max_delay: 60_000, jitter: 0 };

Deno.test("asked for again counts as an attempt where retry is written", async () => {
  await using stage = await Stage.live({ mail: { retry } });
  await stage.push("a");
  say(await stage.next(), { type: 4, data: { message: "later" } });
  say(await stage.next(), { type: 4, data: { message: "too late" } });
  await stage.settled();
  assertEquals(await driverOf(stage), { ...EMPTY, dead: 1 });
  const [{ error, attempts }] = await stage.intake.engine.dead("mail", 1);
  assertEquals([error, attempts], ["too late", 2]);
});

const FAILURES: [what: string, fail: (stage: Stage) => Promise<void>][] = [
  ["an ERROR frame", async (stage) => void (await stage.next()).fail("worker_error", "boom")],
  ["a crash", async (stage) => void (await stage.next()).fail("died", "exited")],
  ["too late", async (stage) => void (await stage.next()).fail("timeout")],
  ["no frame", async (stage) => void (await stage.next()).fail("broken")],
  ["stop answers", async (stage) => void (await stage.next()).fail("stopping")],
  ["an empty body", async (stage) => say(await stage.next(), "")],
  ["no JSON", async (stage) => say(await stage.next(), "PHP Warning: foo")],
  ["another type", async (stage) => say(await stage.next(), { type: 9 })],
  ["null", async (stage) => say(await stage.next(), "null")],
  ["a list", async (stage) => say(await stage.next(), "[]")],
  ["a stream", async (stage) => void (await stage.next()).raw("", "x", true)],
];

for (const [what, fail] of FAILURES) {
  Deno.test(`failed by ${what}: again with backoff, kept as a dead letter after five`, async () => {
    await using stage = await Stage.live();
    await stage.push("a");
    for (const wait of [1000, 2000, 4000, 8000]) {
      await fail(stage);
      await stage.settled();
      assertEquals(await driverOf(stage), { ...EMPTY, delayed: 1 });
      await stage.clock.advance(wait - 1);
      assertEquals((await driverOf(stage)).delayed, 1);
      await stage.clock.advance(1);
    }
    await fail(stage);
    await stage.settled();
    assertEquals(await driverOf(stage), { ...EMPTY, dead: 1 });
    const told = stage.events("job_failed");
    assertEquals(told.map(({ attempt, then }) => [attempt, then]), [
      [1, "again in 1s"],
      [2, "again in 2s"],
      [3, "again in 4s"],
      [4, "again in 8s"],
      [5, "dead"],
    ]);
  });
}

Deno.test("auto_ack: gone before the worker has it, whatever it says", async () => {
  await using stage = await Stage.live();
  await stage.push("a", { auto_ack: true });
  const call = await stage.next();
  assertEquals(await driverOf(stage), EMPTY);
  call.fail("died");
  await stage.settled();
  assertEquals(await driverOf(stage), EMPTY);
  assertEquals(stage.events("job_failed")[0].then, "nothing: it was acknowledged before");
});

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
