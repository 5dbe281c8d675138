/** What becomes of a job that a worker had: done, given up, asked for again, failed. */

import { assert, assertEquals } from "@std/assert";
import { DONE, driverOf, EMPTY, say, Stage } from "./kit.ts";

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
