/** Real daemons on one beanstalkd: they share the jobs, either is killed, and the other goes on. */

import { assertEquals } from "@std/assert";
import { beanstalkd } from "../kit/brokers/beanstalk.ts";
import { eitherIsKilled } from "../kit/brokers/daemons.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { type Daemon, startDaemon } from "../kit/daemon.ts";
import type { Place } from "../kit/daemon_options.ts";
import { deliveries, emptied, holdJob, JOB_WORKER, jobs, push } from "../kit/jobs.ts";
import { until } from "../kit/wait.ts";
import { told } from "../kit/workers.ts";

/** A daemon with the pipeline `mail` on that server. */
function onBeanstalk({ address }: BrokerServer, log: string): Promise<Daemon> {
  const pipelines = { mail: { driver: "beanstalk", config: { tube: "mail" } } };
  const beanstalk = { addr: `tcp://${address}` };
  const config = ({ dir }: Pick<Place, "dir">) => jobs({ pipelines }, { beanstalk })({ dir });
  return startDaemon({ config, files: JOB_WORKER }, log);
}

Deno.test("beanstalk: two daemons share the jobs; whichever is killed, the other does what it had", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using one = await onBeanstalk(server, "beanstalk-daemons-one.log");
  await using two = await onBeanstalk(server, "beanstalk-daemons-two.log");
  await eitherIsKilled(one, two);
});

Deno.test("beanstalk: ends under a job that runs: the daemon goes on, and the job runs once", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using daemon = await onBeanstalk(server, "beanstalk-daemons-restart.log");
  await using held = await holdJob(daemon);
  await server.kill();
  await daemon.event("pipeline_down");
  await server.start();
  await until("it is there again", async () => (await told(daemon, "pipeline_ready")).length >= 1);
  held.finish();
  const id = await push(daemon, "log", daemon.path("log"));
  await emptied(daemon);
  assertEquals(deliveries(daemon), [held.id, id]);
  assertEquals(await told(daemon, "job_unsettled"), []);
});
