/**
 * Two daemons, as on two machines, that know nothing of each other but the broker they share: either is
 * killed while it holds jobs, and the other does them.
 */

import { assert, assertEquals } from "@std/assert";
import type { Yaml } from "../kit/programs.ts";
import { natsServer } from "../kit/brokers/nats.ts";
import { redisServer } from "../kit/brokers/redis.ts";
import { type BrokerRecipe, BrokerServer } from "../kit/brokers/server.ts";
import { type Daemon, startDaemon } from "../kit/daemon.ts";
import { deliveries, emptied, holdJob, JOB_WORKER, jobs, push } from "../kit/jobs.ts";
import { killLeftovers } from "../kit/leftovers.ts";
import { until } from "../kit/wait.ts";
import { pidsOf, told } from "../kit/workers.ts";

/** Jobs that the victim has besides the one that its worker is at. */
const AHEAD = 20;

/** Jobs that come by each way while one is dead. */
const MEANWHILE = 5;

interface Shared {
  readonly driver: string;
  readonly broker: () => BrokerRecipe;
  /** The section of the broker. */
  readonly section: (address: string) => Yaml;
  /** Of the pipeline: after 3 s the jobs of a daemon that vanished come to another. */
  readonly config: Yaml;
}

const SHARED: readonly Shared[] = [
  {
    driver: "redis",
    broker: () => redisServer(),
    section: (address) => ({ redis: { addr: address } }),
    config: { visibility_timeout: "3s" },
  },
  {
    driver: "nats",
    broker: () => natsServer(),
    section: (address) => ({ nats: { addr: `nats://${address}` } }),
    config: { stream: "shared", subject: "shared.mail", ack_wait: "3s" },
  },
];

async function flow(d: Daemon, step: "pause" | "resume"): Promise<void> {
  const response = await d.post(`/v1/jobs/${step}`, { pipeline: "mail" });
  assertEquals(response.status, 200, await response.text());
}

/** Kills `victim` while it has a job at its worker and others ahead. @returns ids that were pushed */
async function killOneOf(victim: Daemon, other: Daemon, log: string): Promise<string[]> {
  const ids: string[] = [];
  await flow(other, "pause");
  await using held = await holdJob(victim);
  ids.push(held.id);
  assertEquals(await pidsOf(victim), [held.pid]);
  for (let i = 0; i < AHEAD; i++) ids.push(await push(i % 2 ? victim : other, "log", log));
  await flow(other, "resume");
  victim.kill("SIGKILL");
  await victim.ended();
  killLeftovers(victim.leftovers()); // a machine takes all with it
  for (let i = 0; i < MEANWHILE; i++) ids.push(await push(other, "log", log));
  const pid = await held.again();
  assertEquals(await pidsOf(other), [pid]);
  held.finish();
  await emptied(other);
  assertEquals(ids.filter((id) => !deliveries(other).includes(id)), [], "done by the other");
  return ids;
}

for (const { driver, broker, section, config } of SHARED) {
  Deno.test(`${driver}: two daemons, either is killed: the other does its jobs`, async () => {
    await using server = await BrokerServer.start(broker());
    const mail = { driver, config };
    const options = {
      config: jobs({ pipelines: { mail } }, section(server.address)),
      files: JOB_WORKER,
    };
    await using a = await startDaemon(options, `jobs_machines-${driver}-a.log`);
    await using b = await startDaemon(options, `jobs_machines-${driver}-b.log`);
    const log = a.path("log");
    const ids: string[] = [];
    for (const [victim, other] of [[a, b], [b, a]]) {
      ids.push(...await killOneOf(victim, other, log));
      await victim.start();
    }
    // Both are at work again.
    const last = await Promise.all([a, b].map((d) => push(d, "log", log)));
    const all = () => [...deliveries(a), ...deliveries(b)];
    await until("the last jobs", () => last.every((id) => all().includes(id)));
    await Promise.all([a, b].map(emptied));
    const twice = [...ids, ...last].filter((id) => all().filter((one) => one === id).length > 1);
    assertEquals(twice.length, 2, "only what a worker had at the kill is begun again");
    for (const d of [a, b]) {
      assertEquals(await told(d, "internal_error"), []);
      assert(!d.output().includes("job_unsettled"));
    }
  });
}
