/** Two real daemons on one Redis: they share the jobs, either is killed, and the other goes on. */

import { assert, assertEquals } from "@std/assert";
import { redisServer } from "../kit/brokers/redis.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { type Daemon, startDaemon } from "../kit/daemon.ts";
import { deliveries, emptied, holdJob, JOB_WORKER, jobs, push } from "../kit/jobs.ts";
import type { Place } from "../kit/daemon_options.ts";
import { until } from "../kit/wait.ts";
import { pidsOf, runs, told } from "../kit/workers.ts";

/** A daemon with the pipeline `mail` on that server. */
function onRedis({ port }: BrokerServer, log: string): Promise<Daemon> {
  const pipelines = { mail: { driver: "redis", config: { visibility_timeout: "2s" } } };
  const redis = { addr: `127.0.0.1:${port}` };
  const config = ({ dir }: Pick<Place, "dir">) => jobs({ pipelines }, { redis })({ dir });
  return startDaemon({ config, files: JOB_WORKER }, log);
}

Deno.test("redis: two daemons share the jobs; whichever is killed, the other does what it had", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using one = await onRedis(server, "redis-daemons-one.log");
  await using two = await onRedis(server, "redis-daemons-two.log");
  await using held = await holdJob(one);
  const has = (await pidsOf(one)).includes(held.pid) ? one : two;
  const other = has === one ? two : one;
  has.kill("SIGKILL");
  await has.ended();
  // As when its machine is gone: the worker would wait at the gate still.
  Deno.kill(held.pid, "SIGKILL");
  const pid = await held.again();
  assert((await pidsOf(other)).includes(pid), "the other daemon has it");
  await until("the worker of the dead daemon to be gone", () => !runs(held.pid));
  held.finish();
  const more: string[] = [];
  for (let i = 0; i < 5; i++) more.push(await push(other, "log", other.path("log")));
  await emptied(other);
  assertEquals(deliveries(other), [held.id, ...more]);
  await has.start();
  const from = await push(has, "log", has.path("log"));
  await until("it is done", () => [...deliveries(one), ...deliveries(two)].includes(from));
  await emptied(has);
  for (const daemon of [one, two]) {
    assertEquals(await told(daemon, "job_unsettled"), []);
    assertEquals(await told(daemon, "internal_error"), []);
  }
});

Deno.test("redis: absent at start: the rest of the daemon starts, and jobs flow when it comes", async () => {
  await using server = new BrokerServer(redisServer());
  await using daemon = await onRedis(server, "redis-daemons-absent.log");
  await daemon.event("pipeline_down");
  await server.start();
  await daemon.event("pipeline_ready");
  const id = await push(daemon, "log", daemon.path("log"));
  await emptied(daemon);
  assertEquals(deliveries(daemon), [id]);
});
