/** A daemon whose broker is not there: what works all the same, and who says that it is away. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { redisServer } from "../kit/brokers/redis.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { daemonTest } from "../kit/daemon.ts";
import { JOB_WORKER } from "../kit/jobs.ts";
import { freePort } from "../kit/ports.ts";
import { program } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";
import { told } from "../kit/workers.ts";
import type { PipelineStatus } from "../../lib/control/jobs.ts";

const broker = new BrokerServer(redisServer());
const STATUS = `127.0.0.1:${freePort()}`;

async function ask(path: string) {
  const response = await fetch(`http://${STATUS}${path}`);
  return { code: response.status, body: await response.json() };
}

daemonTest("a broker that is absent at the start, and comes later", {
  config: ({ dir }) => ({
    server: { command: "php worker.php", env: { DELIVERIES: `${dir}/deliveries` } },
    processes: { beacon: { command: program("worker.sh", "beacon"), policy: "service" } },
    status: { address: STATUS },
    redis: { addr: broker.address },
    jobs: {
      pipelines: { mail: { driver: "redis" }, near: { driver: "memory" } },
      consume: ["mail", "near"],
      pool: { num_workers: 1 },
      timeout: "1s",
    },
  }),
  files: JOB_WORKER,
}, async (d) => {
  await using server = broker;
  // Everything else is there, and works.
  await d.ok("jobs", "push", "near", "log", "--payload", d.path("near"));
  await until("the job of the other pipeline", () => d.read("near"));
  const health = await ask("/health?plugin=jobs");
  assertEquals([health.code, health.body[0].error_message], [200, ""]);

  // Who asks hears which pipeline, why, and until when.
  await until("a failed dial", async () => (await told(d, "pipeline_down")).length > 0);
  const ready = await ask("/ready?plugin=jobs");
  assertEquals(ready.code, 503);
  const said = ready.body[0].error_message;
  assertMatch(said, /^pipeline mail \(redis\) cannot be reached: .+, next try at \d{4}-\d\d-\d\dT/);
  assert(!said.includes("near"), said);
  const { reasons } = (await ask("/readyz")).body;
  assertEquals(reasons.length, 1);
  assertStringIncludes(reasons[0], "jobs: pipeline mail (redis) cannot be reached");
  const [unreachable] = (await d.status()).intakes.flatMap((one) => one.unreachable ?? []);
  assertEquals(unreachable.name, "pipeline mail (redis)");
  assertMatch(
    (await d.ok("status")).stdout,
    /^not reached: pipeline mail \(redis\): .+; next try /m,
  );
  const rows = (await d.ok("jobs", "list")).stdout.split("\n").map((line) => line.split(/  +/));
  assertEquals(rows[1].slice(0, 8), ["mail", "redis", "jobs", "connecting", "?", "?", "0", "?"]);
  const { pipelines } = (await d.ok("jobs", "list", "--json")).json();
  const mail: PipelineStatus = pipelines[0];
  assertEquals([mail.ready, mail.waiting, mail.dead], [false, null, null]);
  assert(mail.error !== undefined && mail.next_try_at !== undefined);

  // What needs it fails in time, and says why.
  const push = await d.cli("jobs", "push", "mail", "log", "--payload", d.path("far"));
  assertEquals(push.code, 1);
  assertMatch(
    push.stderr,
    /did not store a job within 1s: its driver redis is not connected \(.+\)/,
  );
  for (const args of [["dead", "mail"], ["retry", "mail", "x"], ["drop", "mail", "--all"]]) {
    const { code, stderr } = await d.cli("jobs", ...args);
    assertEquals(code, 1, `${args}: ${stderr}`);
    assertMatch(stderr, /^error: .*(?:redis|mail)/);
  }

  // It comes: nobody has to do anything.
  await server.start();
  await until(
    "the pipeline to be ready",
    async () => (await ask("/ready?plugin=jobs")).code === 200,
  );
  await d.ok("jobs", "push", "mail", "log", "--payload", d.path("far"));
  await until("the job", () => d.read("far"));
  assert(!(await d.ok("status")).stdout.includes("not reached"));
  assertEquals(await told(d, "internal_error"), []);
});
