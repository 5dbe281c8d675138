/** Delayed jobs at a RabbitMQ that stops just when they are due. */

import { assertEquals } from "@std/assert";
import { rabbitmq } from "../kit/brokers/amqp.ts";
import { AmqpBench } from "../kit/brokers/amqp_bench.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { soon, until } from "../kit/wait.ts";
import type { Delivery, Driver } from "../../plugins/jobs/driver.ts";
import { jobOf } from "../unit/plugins/jobs/conformance/kit.ts";

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

function takeSome(driver: Driver): Promise<Delivery[]> {
  return driver.take(100, new AbortController().signal);
}
