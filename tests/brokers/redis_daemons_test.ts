/** Two real daemons on one Redis: they share the jobs, either is killed, and the other goes on. */

import { assertEquals } from "@std/assert";
import { eitherIsKilled } from "../kit/brokers/daemons.ts";
import { redisServer } from "../kit/brokers/redis.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { type Daemon, startDaemon } from "../kit/daemon.ts";
import { deliveries, emptied, JOB_WORKER, jobs, push } from "../kit/jobs.ts";
import type { Place } from "../kit/daemon_options.ts";

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
  await eitherIsKilled(one, two);
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
