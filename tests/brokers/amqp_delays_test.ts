/** Delayed jobs at a RabbitMQ that stops just when they are due, or removes what is not used. */

// @ts-types="@types/amqplib"
import { type Channel, connect } from "amqplib";
import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { realClock } from "../../lib/os/clock.ts";
import { Connections } from "../../plugins/jobs/amqp/connection.ts";
import { type DelayQueue, delayQueue } from "../../plugins/jobs/amqp/delays.ts";
import { Session } from "../../plugins/jobs/amqp/session.ts";
import { rabbitmq } from "../kit/brokers/amqp.ts";
import { AmqpBench } from "../kit/brokers/amqp_bench.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { soon, until } from "../kit/wait.ts";
import type { Delivery, Driver } from "../../plugins/jobs/driver.ts";
import { again, jobOf, settleOne, takeOne } from "../unit/plugins/jobs/conformance/kit.ts";

const DELAYS = [500, 600, 700, 800, 900, 1000, 1100, 1200];
const COUNT = 4000;

Deno.test("amqp: what becomes due while RabbitMQ stops is not lost", async () => {
  await using server = await BrokerServer.start(rabbitmq());
  await using bench = new AmqpBench(server.address);
  const driver = await bench.open();
  const ids = Array.from({ length: COUNT }, (_, i) => `j${i}`);
  await driver.push(ids.map((id, i) => jobOf({ id, delay: DELAYS[i % DELAYS.length] })));
  await until("some to be due", async () => (await driver.stat()).waiting > 0);
  await server.stop();
  await server.start();
  const came = new Set<string>();
  while (came.size < COUNT) {
    for (const delivery of await soon(`jobs after ${came.size}`, takeSome(driver))) {
      came.add(delivery.id);
      await driver.settle(delivery, { kind: "ack" });
    }
  }
  assertEquals(ids.filter((id) => !came.has(id)), []);
});

Deno.test("amqp: RabbitMQ does not remove a delay queue that is leased again", async () => {
  await using server = await BrokerServer.start(rabbitmq());
  await using bench = new AmqpBench(server.address);
  await using driver = await bench.open();
  const { broker } = bench;
  const config = bench.config();
  await withStranger(broker.addr, async (stranger) => {
    await using connections = new Connections(realClock);
    const lease = async (queue: DelayQueue) => {
      const session = await Session.open({ connections, broker, config, clock: realClock });
      await session.lease([queue]);
      await session.close();
    };
    const queue = expiring(delayQueue(config.queue.name, 11_000), 3000);
    await lease(queue);
    stranger.sendToQueue(queue.name, Buffer.from("kept"), { messageId: "kept" });
    const coming = takeOne(driver);
    let came = false;
    coming.then(() => came = true, () => {}); // refused when the test has failed
    await until("the job", async () => {
      await lease(queue);
      return came;
    }, 30_000);
    assertEquals((await coming).id, "kept");
  });
});

Deno.test("amqp: a delay queue that somebody removed is made again", async () => {
  await using server = await BrokerServer.start(rabbitmq());
  await using bench = new AmqpBench(server.address);
  await using driver = await bench.open();
  await driver.push([jobOf({ id: "first", delay: 100 }), jobOf({ id: "second" })]);
  await withStranger(bench.broker.addr, async (stranger) => {
    await soon("the jobs", settleOne(driver, { kind: "ack" }));
    const other = await soon("the other job", takeOne(driver));
    await stranger.deleteQueue(delayQueue(bench.config().queue.name, 100).name);
    await soon("its end", driver.settle(other, again({ delay: 100 })));
    const { id, attempt } = await soon("it again", takeOne(driver));
    assertEquals([id, attempt], [other.id, 2]);
  });
});

/** RabbitMQ looks every 5 seconds whether a queue is to be removed. */
function expiring(queue: DelayQueue, expires: number): DelayQueue {
  const options = (version: string) => {
    const { durable, arguments: given } = queue.options(version);
    return { durable, arguments: { ...given, "x-expires": expires } };
  };
  return { ...queue, options };
}

async function withStranger(addr: string, work: (channel: Channel) => Promise<void>) {
  const model = await connect(addr);
  try {
    await work(await model.createChannel());
  } finally {
    await model.close();
  }
}

function takeSome(driver: Driver): Promise<Delivery[]> {
  return driver.take(100, new AbortController().signal);
}
