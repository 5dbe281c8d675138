/** The driver amqp against a RabbitMQ that is absent, stopped, killed, frozen, or shared. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Failure } from "../../lib/core/failure.ts";
import { amqp } from "../../plugins/jobs/amqp/recipe.ts";
import type { Delivery, Driver } from "../../plugins/jobs/driver.ts";
import { rabbitmq } from "../kit/brokers/amqp.ts";
import { AmqpBench } from "../kit/brokers/amqp_bench.ts";
import { hostOf } from "../kit/brokers/bench.ts";
import { down, jobs, ready } from "../kit/brokers/scenes.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { soon, until } from "../kit/wait.ts";
import {
  again,
  jobOf,
  settingsOf,
  settleOne,
  takeAll,
  takeIds,
  takeOne,
} from "../unit/plugins/jobs/conformance/kit.ts";

const server = await BrokerServer.start(rabbitmq("max_message_size = 1000000\n"));
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

const isReady = (driver: Driver) => ready(driver, 60_000);
const isDown = (driver: Driver) =>
  until("the loss is seen", () => driver.state.state === "connecting", 60_000);
const ids = (jobs: Delivery[]) => jobs.map(({ id }) => id).toSorted();

Deno.test("amqp: RabbitMQ is not there at the start", async () => {
  await server.stop();
  await using bench = new AmqpBench(server.address);
  const driver = await bench.begin();
  const state = await down(driver);
  assertStringIncludes(state.error, "ECONNREFUSED");
  assert(Date.parse(state.next_try_at!) > 0);
  const late = AbortSignal.abort(new Error("too late"));
  await assertRejects(() => driver.push([jobOf()], late), Failure, server.address);
  await assertRejects(
    () => driver.stat(),
    Failure,
    `RabbitMQ at ${server.address} is not connected`,
  );
  const pushing = driver.push([jobOf({ id: "patient" })]);
  const taking = takeIds(driver, 1);
  await server.start();
  await pushing;
  assertEquals(await taking, ["patient"]);
  assertEquals(driver.state, { state: "ready" });
});

Deno.test("amqp: a restart loses nothing, and what was settled meanwhile is not delivered again", async () => {
  await using bench = new AmqpBench(server.address);
  const driver = await bench.open();
  await driver.push(jobs(["acked", "dead", "again", "back", "open"]));
  const held = await takeAll(driver, 5);
  await driver.push([jobOf({ id: "waiting" }), jobOf({ id: "delayed", delay: 12_000 })]);
  await server.stop();
  await isDown(driver);
  const [acked, dead, repeated, back, open] = held;
  await driver.settle(acked, { kind: "ack" });
  await driver.settle(dead, { kind: "dead", error: "it failed" });
  await driver.settle(repeated, again({ attempt: 7 }));
  await driver.settle(back, { kind: "back" });
  await server.start();
  await isReady(driver);
  const left = await takeAll(driver, 5);
  assertEquals(ids(left), ["again", "back", "delayed", "open", "waiting"]);
  assertEquals(left.find(({ id }) => id === "again")!.attempt, 7);
  assertEquals((await driver.dead(5)).map(({ id, error }) => [id, error]), [["dead", "it failed"]]);
  // Its first delivery is nobody's any more: RabbitMQ had it back, and gave it out again.
  await driver.settle(open, { kind: "ack" });
  for (const one of left) await driver.settle(one, { kind: "ack" });
  const { waiting, delayed, reserved } = await driver.stat();
  assertEquals([waiting, delayed, reserved], [0, 0, 0]);
});

Deno.test("amqp: killed while jobs are pushed, taken and acknowledged: what was confirmed comes", async () => {
  await using bench = new AmqpBench(server.address);
  const driver = await bench.open();
  const confirmed = new Set<string>();
  const seen = new Map<string, number>();
  const end = new AbortController();
  const over: Promise<void>[] = [];
  let made = 0;
  const push = async () => {
    while (!end.signal.aborted) {
      const id = `k${made++}`;
      // One that is not confirmed may be there or not.
      await driver.push([jobOf({ id })]).then(() => confirmed.add(id), () => {});
    }
  };
  const take = async () => {
    while (!end.signal.aborted || [...confirmed].some((id) => !seen.has(id))) {
      for (const one of await driver.take(10, AbortSignal.timeout(60_000))) {
        seen.set(one.id, (seen.get(one.id) ?? 0) + 1);
        await driver.settle(one, { kind: "ack" });
      }
    }
  };
  over.push(push(), push(), take());
  await until("it is at work", () => confirmed.size > 50);
  await server.kill();
  await isDown(driver);
  await server.start();
  const before = confirmed.size;
  await until("it is at work again", () => confirmed.size > before + 50, 60_000);
  end.abort();
  await driver.push([jobOf({ id: "last" })]);
  await soon("all that was confirmed", Promise.all(over), 60_000);
  assertEquals([...confirmed].filter((id) => !seen.has(id)), []);
});

Deno.test("amqp: a RabbitMQ that does not answer is left, and found again", async () => {
  await using bench = new AmqpBench(server.address, "?heartbeat=1");
  const driver = await bench.open();
  await driver.push([jobOf({ id: "held" })]);
  const held = await takeOne(driver);
  const ending = await bench.open("ending");
  server.freeze();
  try {
    await ending[Symbol.asyncDispose]();
    // It may still confirm some: all of its threads have to stop.
    const pushing = (async () => {
      for (;;) await driver.push([jobOf({ id: "before" })]);
    })();
    await assertRejects(() => soon("a push fails", pushing, 60_000), Failure, "may be stored");
    await isDown(driver);
    await driver.settle(held, { kind: "ack" });
  } finally {
    server.thaw();
  }
  await isReady(driver);
  await driver.push([jobOf({ id: "next" })]);
  const came: string[] = [];
  while (!came.includes("next")) came.push((await settleOne(driver, { kind: "ack" })).id);
  assert(!came.includes("held"));
});

Deno.test("amqp: a wrong password is said, by the driver and to doctor", async () => {
  await using bench = new AmqpBench(server.address);
  const broker = { addr: `amqp://guest:wrong@${server.address}/` };
  const driver = bench.make("default", {}, broker);
  await driver.open();
  await until("it is refused", () => {
    const { state } = driver;
    return state.state === "connecting" && state.error?.includes("ACCESS_REFUSED");
  });
  const ask = (broker: unknown, written?: Record<string, unknown>) => {
    const settings = settingsOf({ driver: "amqp", config: bench.config("asked", written) });
    return amqp.check!(settings, broker, hostOf(), new AbortController().signal);
  };
  const error = await assertRejects(() => ask(broker), Failure, "ACCESS_REFUSED");
  assert(!error.message.includes("wrong"), error.message);
  await ask(bench.broker);
  const other = { queue: { name: "nobody's", declare: false } };
  await assertRejects(() => ask(bench.broker, other), Failure, "nobody's");
});

Deno.test("amqp: a daemon that vanishes gives its jobs to the other", async () => {
  await using bench = new AmqpBench(server.address);
  const driver = await bench.open();
  await driver.push([jobOf({ id: "a" })]);
  const script = `
    import { connect } from "amqplib";
    const channel = await (await connect(Deno.args[0])).createChannel();
    await channel.consume(Deno.args[1], () => console.log("taken"));`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", script, bench.broker.addr, bench.config().queue.name],
    cwd: new URL("../..", import.meta.url),
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await soon("the other took it", reader.read());
  assertEquals(new TextDecoder().decode(value), "taken\n");
  assertEquals((await driver.stat()).waiting, 0);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  assertEquals(await soon("it came to this one", takeIds(driver, 1)), ["a"]);
});

Deno.test("amqp: what RabbitMQ refuses for its size is an error, and the next push is none", async () => {
  await using bench = new AmqpBench(server.address);
  const driver = await bench.open();
  const large = jobOf({ payload: new Uint8Array(2_000_000) });
  await assertRejects(() => driver.push([large]), Failure, "did not confirm");
  await driver.push([jobOf({ id: "small" })]);
  assertEquals(await takeIds(driver, 1), ["small"]);
});
