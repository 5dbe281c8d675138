/** Queues for delays, and what is remembered of deliveries that ended. */

import { assert, assertEquals } from "@std/assert";
import { amqp, type AmqpConfig } from "../../../../../lib/config/roadrunner/drivers/amqp.ts";
import {
  Delayed,
  delayQueue,
  leaseOf,
  MAX_DELAY,
  rounded,
} from "../../../../../plugins/jobs/amqp/delays.ts";
import { Ended } from "../../../../../plugins/jobs/amqp/ended.ts";

const DAY = 24 * 3_600_000;

const ROUNDED: [delay: number, is: number][] = [
  [1, 100],
  [100, 100],
  [101, 200],
  [5000, 5000],
  [10_001, 11_000],
  [60_000, 60_000],
  [600_001, 610_000],
  [3 * 3_600_000 + 1, 3 * 3_600_000 + 60_000],
  [3 * DAY + 1, 3 * DAY + 3_600_000],
  [MAX_DELAY, MAX_DELAY],
  [365 * DAY, MAX_DELAY],
];

for (const [delay, is] of ROUNDED) {
  Deno.test(`amqp: a delay of ${delay} ms is ${is}`, () => assertEquals(rounded(delay), is));
}

Deno.test("amqp: 100,000 different delays within a day are a few thousand queues", () => {
  const names = new Set<string>();
  for (let i = 0; i < 100_000; i++) {
    const delay = i * 864;
    const queue = delayQueue("q", delay + 1);
    names.add(queue.name);
    assert(queue.delay > delay);
  }
  assert(names.size < 3000, `${names.size}`);
});

Deno.test("amqp: RabbitMQ removes no delay queue with a job in it", () => {
  for (const delay of [100, 5000, 600_000, MAX_DELAY]) {
    const queue = delayQueue("q", delay);
    const expires = queue.options("3.9.1").arguments["x-expires"] as number;
    // RabbitMQ may be away for hours, and what is due is then tried again after minutes.
    assert(leaseOf(queue) + queue.delay + 12 * 3_600_000 < expires, `${delay}`);
    assert(expires < 2 ** 32, "what RabbitMQ can say");
  }
});

const CONFIRMING: [version: string, does: boolean][] = [
  ["3.8.35", false],
  ["3.9.13", false],
  ["3.10.8", true],
  ["3.13.0-rc.1", true],
  ["4.1.0", true],
];

for (const [version, does] of CONFIRMING) {
  Deno.test(`amqp: delay queues of RabbitMQ ${version} let go ${does ? "after" : "without"} a confirmation`, () => {
    const { durable, arguments: given } = delayQueue("q", 1000).options(version);
    const confirming = [given["x-queue-type"], given["x-dead-letter-strategy"]];
    assertEquals(confirming, does ? ["quorum", "at-least-once"] : [undefined, undefined]);
    assertEquals([durable, given["x-message-ttl"]], [true, 1000]);
  });
}

Deno.test("amqp: delay queues are counted until all is out", () => {
  const delayed = new Delayed();
  delayed.use([delayQueue("q", 1000), delayQueue("q", 3_600_000)], 0);
  assertEquals(delayed.at(2000).length, 2);
  assertEquals(delayed.at(600_000).map(({ delay }) => delay), [3_600_000]);
  assertEquals(delayed.at(2 * 3_600_000), []);
});

Deno.test("amqp: the latest ends are remembered, each is recalled once", () => {
  const ended = new Ended(2);
  for (const id of ["a", "b", "c"]) ended.remember(id, { kind: "ack" });
  assertEquals(ended.recall("a"), undefined);
  assertEquals([ended.recall("b"), ended.recall("b")], [{ kind: "ack" }, undefined]);
});

const queueOf = (written: Record<string, unknown>, pipeline = "mail"): AmqpConfig["queue"] =>
  amqp.complete(written, pipeline, (path) => path).queue;

Deno.test("amqp: names that a pipeline gives its queue are never those of others", () => {
  assertEquals(queueOf({}, "App.Mail/ä").name, "App.Mail/ä");
  assertEquals(queueOf({}, "mail.dead").name, "mail.dead%");
  assertEquals(queueOf({}, "mail.delayed.100").name, "mail.delayed.100%");
  assertEquals(queueOf({}, "amq.x").name, "%amq.x");
});

Deno.test("amqp: a queue that is not named lasts, one that is named is as RoadRunner's", () => {
  assertEquals([queueOf({}).durable, queueOf({ queue: "q" }).durable], [true, false]);
  assertEquals(queueOf({ queue: "q" }).routing_key, "q");
  assertEquals(queueOf({ routing_key: "k" }).name, "");
});

Deno.test("amqp: both forms of RoadRunner mean the same", () => {
  const first = {
    queue: "q",
    exchange: "e",
    exchange_type: "topic",
    exchange_durable: true,
    exchange_auto_delete: true,
    routing_key: "k",
    durable: true,
    queue_auto_delete: true,
    exclusive: true,
    delete_queue_on_stop: true,
    requeue_on_fail: true,
    consumer_id: "c",
    queue_headers: { "x-queue-mode": "lazy" },
  };
  const second = {
    version: 2,
    exchange: { name: "e", type: "topic", durable: true, auto_delete: true },
    queue: {
      name: "q",
      routing_key: "k",
      durable: true,
      auto_delete: true,
      exclusive: true,
      delete_on_stop: true,
      requeue_on_fail: true,
      consumer_id: "c",
      headers: { "x-queue-mode": "lazy" },
    },
  };
  const complete = (written: Record<string, unknown>) =>
    amqp.complete(written, "mail", (path) => path);
  assertEquals(complete(first), complete(second));
  assertEquals(complete(first).queue.headers, { "x-queue-mode": "lazy" });
});
