/** The manual of the driver amqp. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { AmqpConfig } from "../../../../../lib/config/roadrunner/drivers/amqp.ts";
import { jobsOf } from "../../../../../lib/config/roadrunner/mod.ts";
import { sections } from "../../../../../plugins/registry.ts";
import { messages, readFiles } from "../../../config/kit.ts";

Deno.test("amqp: the example of the manual is a configuration without a warning", async () => {
  const page = new URL("../../../../../docs/jobs-drivers/amqp.md", import.meta.url);
  const manual = await Deno.readTextFile(fromFileUrl(page));
  const example = /```yaml\n([\s\S]+?)```/.exec(manual)![1];
  const { config, problems } = await readFiles(example, {}, sections());
  assertEquals(messages({ problems }), []);
  const { pipelines, brokers } = jobsOf(config!)!;
  const { queue } = pipelines.orders.config as AmqpConfig;
  assertEquals([queue.name, queue.durable, queue.headers], ["orders", true, {
    "x-queue-type": "quorum",
  }]);
  assertEquals(brokers.amqp, {
    addr: "amqp://shop:secret@rabbit.example:5672/shop",
    tls: undefined,
  });
});
