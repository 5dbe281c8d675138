/** The driver amqp: queues and exchanges as they are configured, and messages of others in them. */

// @ts-types="@types/amqplib"
import { type Channel, connect } from "amqplib";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import type { AmqpConfig } from "../../lib/config/roadrunner/drivers/amqp.ts";
import { Failure } from "../../lib/core/failure.ts";
import { rabbitmq } from "../kit/brokers/amqp.ts";
import { AmqpBench } from "../kit/brokers/amqp_bench.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { until } from "../kit/wait.ts";
import {
  again,
  jobOf,
  settleOne,
  takeAll,
  takeIds,
  takeOne,
} from "../unit/plugins/jobs/conformance/kit.ts";

const server = await BrokerServer.start(rabbitmq());
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

/** A test with a channel of another program. */
function test(what: string, run: (bench: AmqpBench, stranger: Channel) => Promise<void>): void {
  Deno.test(`amqp: ${what}`, async () => {
    await using bench = new AmqpBench(server.address);
    const model = await connect(bench.broker.addr);
    try {
      const channel = await model.createChannel();
      channel.on("error", () => {}); // the test itself is told
      await run(bench, channel);
    } finally {
      await model.close();
    }
  });
}

const bytes = (text: string) => Buffer.from(text);
const queueOf = ({ queue }: AmqpConfig) => queue.name;

test("a message of a stranger is a job", async (bench, stranger) => {
  await using driver = await bench.open();
  const headers = { a: "text", n: 7, yes: true, list: ["x", "y"], "x-death": [{ count: 1 }] };
  stranger.sendToQueue(queueOf(bench.config()), bytes("hello"), { headers, messageId: "its id" });
  const job = await takeOne(driver);
  assertEquals([job.id, job.name, job.attempt, job.priority], ["its id", "deduced_by_rr", 1, 10]);
  assertEquals(job.headers, { a: ["text"], n: ["7"], yes: ["true"], list: ["x", "y"] });
  assertEquals(new TextDecoder().decode(job.payload), "hello");
  await driver.settle(job, again({ attempt: 2, headers: job.headers }));
  assertEquals((await takeOne(driver)).attempt, 2);
  stranger.sendToQueue(queueOf(bench.config()), bytes(""));
  assertMatch((await takeOne(driver)).id, /^[0-9a-f-]{36}$/);
});

test("RoadRunner's messages are read, and ours are as its own", async (bench, stranger) => {
  await using driver = await bench.open();
  const own = {
    rr_id: "1",
    rr_job: "App\\Job",
    rr_pipeline: "default",
    rr_headers: bytes('{"x":["1","2"]}'),
    rr_delay: 0,
    rr_priority: { "!": "int64", value: 3 },
    rr_auto_ack: true,
  };
  stranger.publish(bench.config().exchange.name, queueOf(bench.config()), bytes("{}"), {
    headers: own,
  });
  const { id, name, headers, priority, auto_ack } = await settleOne(driver, { kind: "ack" });
  assertEquals({ id, name, headers, priority, auto_ack }, {
    id: "1",
    name: "App\\Job",
    headers: { x: ["1", "2"] },
    priority: 3,
    auto_ack: true,
  });
  stranger.publish(bench.config().exchange.name, queueOf(bench.config()), bytes("{}"), {
    headers: { ...own, rr_id: "2", rr_headers: bytes("null") },
  });
  assertEquals((await settleOne(driver, { kind: "ack" })).headers, {});
  await driver[Symbol.asyncDispose]();
  await using pushing = await bench.open();
  await pushing.push([jobOf({ id: "ours", name: "J", headers: { h: ["v"] }, priority: 5 })]);
  const message = await stranger.get(queueOf(bench.config()));
  assert(message !== false);
  const sent = message.properties.headers!;
  assertEquals([sent.rr_id, sent.rr_job, sent.rr_priority, sent.rr_auto_ack], [
    "ours",
    "J",
    5,
    false,
  ]);
  assertEquals(sent.rr_headers.toString(), '{"h":["v"]}');
  assertEquals(message.properties.deliveryMode, 2);
  stranger.ack(message);
});

test("garbage goes to the dead letters and holds up nobody", async (bench, stranger) => {
  await using driver = await bench.open();
  const headers = { rr_id: "bad", rr_headers: bytes('{"x":') };
  stranger.sendToQueue(queueOf(bench.config()), bytes("kept"), { headers });
  await driver.push([jobOf({ id: "next" })]);
  assertEquals(await takeIds(driver, 5), ["next"]);
  const [dead] = await until("it is dead", async () => {
    const all = await driver.dead(5);
    return all.length > 0 && all;
  });
  assertEquals([dead.id, new TextDecoder().decode(dead.payload)], ["bad", "kept"]);
  assertMatch(dead.error, /^its rr_headers cannot be read: /);
  const [[event, facts]] = bench.told;
  assertEquals([event, facts.id, facts.then], ["job_failed", "bad", "dead"]);
});

test("a job that no queue takes is refused", async (bench) => {
  await using driver = await bench.open();
  const lost = jobOf({ headers: { "x-routing-key": ["nowhere"] } });
  const error = await assertRejects(() => driver.push([lost]), Failure);
  assertMatch(error.message, /has no queue for a job with routing key "nowhere"/);
  await assertRejects(() => driver.push([{ ...lost, delay: 100 }]), Failure, "has a delay");
  await driver.push([jobOf({ id: "a" })]);
  assertEquals(await takeIds(driver, 5), ["a"]);
});

test("a pipeline with a routing key and no queue only pushes", async (bench) => {
  await using target = await bench.open("target");
  const config = bench.config("target", { queue: undefined, routing_key: "topic" });
  await using pushing = await bench.open("push only", { config });
  await assertRejects(() => pushing.push([jobOf()]), Failure, "no queue");
  assertEquals(await pushing.stat(), { waiting: 0, delayed: 0, reserved: 0, dead: 0 });
  assertEquals(await pushing.dead(5), []);
  const own = { config: bench.config("target", { routing_key: "topic" }) };
  await using bound = await bench.open("target", own);
  await pushing.push([jobOf({ id: "through" })]);
  const end = new AbortController();
  const both = [target.take(1, end.signal), bound.take(1, end.signal)];
  const [job] = await Promise.race(both);
  assertEquals(job.id, "through");
  const ended = Promise.allSettled(both);
  end.abort();
  await ended;
});

test("fanout: every queue has a pushed job; a repeated one is only its own's", async (bench) => {
  const config = (pipeline: string) =>
    bench.config(pipeline, {
      version: 2,
      exchange: { name: `fan ${queueOf(bench.config())}`, type: "fanout" },
      queue: { name: `${queueOf(bench.config())} ${pipeline}`, durable: true },
    });
  await using one = await bench.open("one", { config: config("one") });
  await using other = await bench.open("other", { config: config("other") });
  await one.push([jobOf({ id: "a" })]);
  await settleOne(other, { kind: "ack" });
  await settleOne(one, again({ attempt: 2 }));
  assertEquals((await takeOne(one)).attempt, 2);
  assertEquals((await other.stat()).waiting, 0);
});

test(
  "what is dropped goes where the queue says, or back with requeue_on_fail",
  async (bench, stranger) => {
    const name = queueOf(bench.config());
    await stranger.assertQueue(`${name} dropped`);
    const arguments_ = {
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": `${name} dropped`,
    };
    const config = bench.config("default", { queue_headers: arguments_ });
    const driver = await bench.open("default", { config });
    await driver.push([jobOf({ id: "a" })]);
    await settleOne(driver, { kind: "drop", error: "no use" });
    await until(
      "it is there",
      async () => (await stranger.checkQueue(`${name} dropped`)).messageCount === 1,
    );
    await driver[Symbol.asyncDispose]();
    await using back = await bench.open("back", {
      config: bench.config("back", { requeue_on_fail: true }),
    });
    await back.push([jobOf({ id: "b" })]);
    for (let i = 0; i < 3; i++) {
      assertEquals((await settleOne(back, { kind: "drop", error: "no use" })).id, "b");
    }
  },
);

test("delete_queue_on_stop: the queue and its jobs are gone", async (bench, stranger) => {
  const config = bench.config("gone", { delete_queue_on_stop: true });
  const driver = await bench.open("gone", { config });
  await driver.push([jobOf()]);
  await driver[Symbol.asyncDispose]();
  await assertRejects(() => stranger.checkQueue(config.queue.name), Error, "NOT_FOUND");
});

test("a queue that is deleted is made again", async (bench, stranger) => {
  await using driver = await bench.open();
  const taking = takeIds(driver, 1);
  await until(
    "it is consumed",
    async () => (await stranger.checkQueue(queueOf(bench.config()))).consumerCount === 1,
  );
  await stranger.deleteQueue(queueOf(bench.config()));
  await until("that is noticed", () => driver.state.state === "connecting");
  await driver.push([jobOf({ id: "a" })]);
  assertEquals(await taking, ["a"]);
});

test(
  "a queue that is declared in another way is said, until it is not",
  async (bench, stranger) => {
    const config = bench.config();
    await stranger.assertQueue(config.queue.name, { durable: false });
    const driver = bench.make();
    await driver.open();
    await until("it is refused", () => {
      const { state } = driver;
      return state.state === "connecting" && state.error?.includes("PRECONDITION_FAILED");
    });
    await stranger.deleteQueue(config.queue.name);
    await until("it is made", () => driver.state.state === "ready");
  },
);

test(
  "declare: false makes nothing but a place for the first dead letter",
  async (bench, stranger) => {
    const name = queueOf(bench.config());
    const written = {
      version: 2,
      exchange: { name: "amq.direct", declare: false },
      queue: { name, declare: false },
    };
    await stranger.assertQueue(name);
    await stranger.bindQueue(name, "amq.direct", name);
    await using driver = await bench.open("other", { config: bench.config("other", written) });
    await driver.push([jobOf({ id: "a" })]);
    const job = await takeOne(driver);
    assertEquals([await driver.dead(5), (await driver.stat()).dead], [[], 0]);
    const other = await connect(bench.broker.addr);
    const channel = await other.createChannel();
    channel.on("error", () => {}); // told by the question
    await assertRejects(() => channel.checkQueue(`${name}.dead`), Error, "NOT_FOUND");
    await other.close();
    await driver.settle(job, { kind: "dead", error: "failed" });
    assertEquals((await driver.stat()).dead, 1);
    await using next = bench.make("other", { config: bench.config("other", written) });
    await next.open();
    await until(
      "it sees it",
      async () => next.state.state === "ready" && (await next.dead(5))[0]?.id === "a",
    );
  },
);

test("no more than prefetch are taken from the others", async (bench) => {
  await using one = await bench.open("default", { prefetch: 2 });
  await using other = bench.make("default", { prefetch: 2 });
  await other.open();
  await one.push(["a", "b", "c", "d"].map((id) => jobOf({ id })));
  const held = await takeAll(one, 2);
  assertEquals((await takeAll(other, 2)).map(({ id }) => id), ["c", "d"]);
  one.configure({ ...bench.settings("default"), prefetch: 3 });
  await one.push([jobOf({ id: "e" })]);
  assertEquals(await takeIds(one, 1), ["e"]);
  for (const job of held) await one.settle(job, { kind: "ack" });
});

test("what came ahead of its time is for others, when nobody takes it", async (bench) => {
  await using one = await bench.open();
  await one.push(["a", "b", "c"].map((id) => jobOf({ id })));
  const held = await takeOne(one);
  await until("the others came", async () => (await one.stat()).waiting === 2);
  await using other = await bench.open();
  assertEquals((await takeAll(other, 2)).map(({ id }) => id), ["b", "c"]);
  await one.settle(held, { kind: "back" });
  assertEquals(await takeIds(other, 1), ["a"]);
  await one.push([jobOf({ id: "d" })]);
  assertEquals(await Promise.race([takeIds(one, 1), takeIds(other, 1)]), ["d"]);
});

test("headers that no frame holds: a push is refused, a job that grew them is dead", async (bench) => {
  await using driver = await bench.open();
  const headers = { long: ["x".repeat(60_000)] };
  await assertRejects(() => driver.push([jobOf({ headers })]), Failure, "bytes of headers");
  await driver.push([jobOf({ id: "a", headers: { kept: ["1"] } })]);
  await settleOne(driver, again({ attempt: 2, headers, error: "before" }));
  const [dead] = await driver.dead(5);
  assertEquals([dead.id, dead.headers], ["a", { kept: ["1"] }]);
  assertMatch(dead.error, /^before; and job "a" has \d+ bytes of headers/);
});

test("the end hands back what is reserved, to others who wait", async (bench) => {
  const one = await bench.open();
  await using other = bench.make();
  await other.open();
  await one.push([jobOf({ id: "a" })]);
  await takeOne(one);
  const taking = takeIds(other, 1);
  await one[Symbol.asyncDispose]();
  assertEquals(await taking, ["a"]);
});
