/** The real daemon with a pipeline at NATS: PHP workers, and the server that ends and comes again. */

import { natsServer } from "../kit/brokers/nats.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { daemonTest } from "../kit/daemon.ts";
import { JOB_WORKER } from "../kit/jobs.ts";
import { until } from "../kit/wait.ts";
import { told } from "../kit/workers.ts";

const broker = new BrokerServer(natsServer());

daemonTest("nats: jobs of a real daemon, before and after the end of the server", {
  config: ({ dir }) => ({
    server: { command: "php worker.php", env: { DELIVERIES: `${dir}/deliveries` } },
    nats: { addr: `nats://${broker.address}` },
    jobs: {
      pipelines: { mail: { driver: "nats", config: { stream: "shop", subject: "jobs.mail" } } },
      consume: ["mail"],
      pool: { num_workers: 1 },
    },
  }),
  files: JOB_WORKER,
}, async (d) => {
  await using server = broker;
  await until("a failed dial", async () => (await told(d, "pipeline_down")).length > 0);
  await server.start();
  await d.ok("jobs", "push", "mail", "log", "--payload", d.path("first"));
  await until("the first job", () => d.read("first"));
  await server.kill();
  await until("the loss", async () => (await told(d, "pipeline_down")).length > 1);
  await server.start();
  await d.ok("jobs", "push", "mail", "log", "--payload", d.path("second"));
  await until("the second job", () => d.read("second"));
  // A server that has just restarted counts what is delivered a moment later.
  await until("nothing to be left", async () => {
    const { pipelines } = (await d.ok("jobs", "list", "--json")).json();
    const { waiting, delayed, reserved, dead } = pipelines[0];
    return waiting + delayed + reserved + dead === 0;
  });
});
