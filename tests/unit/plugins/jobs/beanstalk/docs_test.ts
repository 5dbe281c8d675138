/** The manual of the driver beanstalk: its example is a configuration, and means what it says. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { jobsOf } from "../../../../../lib/config/roadrunner/mod.ts";
import { sections } from "../../../../../plugins/registry.ts";
import { messages, readFiles } from "../../../config/kit.ts";

Deno.test("beanstalk: the example of the manual is a configuration", async () => {
  const page = new URL("../../../../../docs/jobs-drivers/beanstalk.md", import.meta.url);
  const example = /```yaml\n([\s\S]+?)```/.exec(Deno.readTextFileSync(fromFileUrl(page)))![1];
  const { config, problems } = await readFiles(example, {}, sections());
  assertEquals(messages({ problems }), []);
  const { pipelines, brokers } = jobsOf(config!)!;
  assertEquals(pipelines.mail.prefetch, 100);
  assertEquals(pipelines.mail.config, { tube: "shop.mail", reserve_timeout: 10_000 });
  assertEquals(brokers.beanstalk, {
    addr: { host: "beanstalk.example", port: 11300 },
    timeout: 60_000,
  });
});
