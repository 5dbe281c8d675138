/** The manual of the driver nats: its example is a configuration, and means what it says. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { jobsOf } from "../../../../../lib/config/roadrunner/mod.ts";
import { sections } from "../../../../../plugins/registry.ts";
import { messages, readFiles } from "../../../config/kit.ts";

Deno.test("nats: the example of the manual is a configuration", async () => {
  const path = fromFileUrl(new URL("../../../../../docs/jobs-drivers/nats.md", import.meta.url));
  const example = /```yaml\n([\s\S]+?)```/.exec(Deno.readTextFileSync(path))![1];
  const { config, problems } = await readFiles(example, {}, sections());
  assertEquals(messages({ problems }), []);
  const { pipelines, brokers } = jobsOf(config!)!;
  assertEquals(pipelines.mail.prefetch, 100);
  assertEquals(pipelines.mail.config, {
    stream: "shop",
    subject: "jobs.mail",
    delete_after_ack: undefined,
    deliver_new: false,
    delete_stream_on_stop: false,
    ack_wait: 30_000,
  });
  assertEquals(brokers.nats, {
    addr: "nats://nats-1.example:4222,nats://nats-2.example:4222",
    user: "shop",
    password: "secret",
    creds: undefined,
    tls: undefined,
  });
});
