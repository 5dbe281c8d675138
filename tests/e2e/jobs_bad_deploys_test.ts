/** Jobs at the real daemon while deploys fail, roll back and pile up, and reloads move pipelines. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import {
  deliveries,
  deployJobs,
  emptied,
  holdJob,
  JOB_WORKER,
  jobs,
  pipelineOf,
  push,
  withoutJobs,
} from "../kit/jobs.ts";
import type { Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";
import { pidsOf, runs, told } from "../kit/workers.ts";

const IN_FILE: Yaml = { driver: "sqlite", config: { file: "jobs.db" } };
const DRIVERS: Record<string, Yaml> = { memory: { driver: "memory" }, sqlite: IN_FILE };

/** What waits is not yet in line at the pool. */
const ONE_AT_A_TIME: Yaml = { num_pollers: 1 };

/** Workers that do not come up. */
const BROKEN: Record<string, string> = {
  "ends at once": "<?php fwrite(STDERR, 'no database'); exit(3);\n",
  "is no PHP": "<?php this is (\n",
  "speaks no protocol": "<?php echo str_repeat('hello ', 20); sleep(1000);\n",
};

async function ends(d: Daemon, what: string): Promise<void> {
  await until(`the job ${what}`, () => deliveries(d).includes(what));
}

for (const [driver, mail] of Object.entries(DRIVERS)) {
  daemonTest(`${driver}: deploys of broken workers: refused, and jobs go on where they were`, {
    config: jobs({}, { mail }),
    files: JOB_WORKER,
  }, async (d) => {
    await using held = await holdJob(d);
    const waiting = await push(d, "log", d.path("log"));
    for (const [what, script] of Object.entries(BROKEN)) {
      d.write("releases/bad/worker.php", script);
      const { code, stderr } = await d.cli("deploy", "--release-path", d.path("releases/bad"));
      assertEquals(code, 1, what);
      assertStringIncludes(stderr, "jobs", what);
      assert(runs(held.pid), what);
    }
    assertEquals((await d.status()).active_release_id, "initial");
    held.finish();
    await emptied(d);
    await ends(d, await push(d, "log", d.path("log")));
    assertEquals(await pidsOf(d), [held.pid]);
    assertEquals(deliveries(d).slice(0, 2), [held.id, waiting]);
    assertEquals(
      (await told(d, "job_failed")).length + (await told(d, "internal_error")).length,
      0,
    );
  });

  daemonTest(`${driver}: two releases drain, a third rolls back: each job is done once`, {
    config: jobs({}, { mail }),
    files: JOB_WORKER,
  }, async (d) => {
    await deployJobs(d, "v1");
    await using first = await holdJob(d);
    await deployJobs(d, "v2");
    await using second = await holdJob(d);
    await d.ok("rollback");
    await using third = await holdJob(d);
    const { releases } = await d.status();
    assertEquals(releases.filter(({ state }) => state === "draining").length, 2);
    assertEquals(new Set([first.pid, second.pid, third.pid]).size, 3);
    for (const { pid } of [first, second, third]) assert(runs(pid));
    assertEquals((await pipelineOf(d)).running, 3);
    second.finish();
    await until("the second worker to be gone", () => !runs(second.pid));
    assert(runs(first.pid) && runs(third.pid));
    third.finish();
    first.finish();
    await emptied(d);
    await until("the first worker to be gone", () => !runs(first.pid));
    assertEquals(deliveries(d), [first.id, second.id, third.id]);
    assertEquals(await pidsOf(d), [third.pid]);
    assertEquals((await told(d, "release_drained")).map(({ cut }) => cut), [0, 0, 0]);
  });
}

daemonTest("sqlite: the section goes by a reload and comes back: what waited is there", {
  config: jobs({}, { mail: IN_FILE }),
  files: JOB_WORKER,
}, async (d) => {
  await using held = await holdJob(d);
  const waiting = await push(d, "log", d.path("log"));
  d.configure(withoutJobs(d));
  await d.ok("reload");
  held.finish();
  await until("the file to be closed", () => d.read("jobs.db.lock") === undefined);
  assertEquals(deliveries(d), [held.id]);
  assertEquals(await told(d, "jobs_lost"), []);
  assertEquals((await d.cli("jobs", "list")).code, 1);
  d.configure(jobs({}, { mail: IN_FILE }));
  await d.ok("reload");
  await ends(d, waiting);
  await emptied(d);
  assertEquals(deliveries(d), [held.id, waiting]);
});

daemonTest("the section comes and goes while a job is held: the file waits for its end", {
  config: jobs({}, { mail: IN_FILE }),
  files: JOB_WORKER,
}, async (d) => {
  await using held = await holdJob(d);
  const waiting = await push(d, "log", d.path("log"));
  d.configure(withoutJobs(d));
  await d.ok("reload");
  d.configure(jobs({}, { mail: IN_FILE }));
  await d.ok("reload");
  await ends(d, waiting);
  assertEquals(deliveries(d), [held.id, waiting], "what a worker has is given to nobody else");
  held.finish();
  await emptied(d);
  assertEquals(deliveries(d), [held.id, waiting]);
  assertEquals(await told(d, "internal_error"), []);
});

daemonTest(
  "from memory to a file and back by reloads: what is held is done, what is lost is told",
  {
    config: jobs(ONE_AT_A_TIME),
    files: JOB_WORKER,
  },
  async (d) => {
    await using held = await holdJob(d);
    await push(d, "log", d.path("lost"));
    d.configure(jobs(ONE_AT_A_TIME, { mail: IN_FILE }));
    await d.ok("reload");
    const kept = await push(d, "log", d.path("log"), { delay: 3600 });
    held.finish();
    const { data } = await d.event("jobs_lost");
    assertEquals([data.pipeline, data.jobs], ["mail", 1]);
    const { driver, delayed } = await pipelineOf(d);
    assertEquals([driver, delayed], ["sqlite", 1]);
    d.configure(jobs(ONE_AT_A_TIME));
    await d.ok("reload");
    await ends(d, await push(d, "log", d.path("log")));
    assertEquals((await pipelineOf(d)).delayed, 0);
    d.configure(jobs(ONE_AT_A_TIME, { mail: IN_FILE }));
    await d.ok("reload");
    assertEquals((await pipelineOf(d)).delayed, 1, `${kept} is where it was`);
    assertEquals(d.read("lost"), undefined);
    assertEquals((await told(d, "jobs_lost")).length, 1);
    assertEquals(await pidsOf(d), [held.pid], "no worker was replaced for that");
  },
);

daemonTest("consume changed by reloads: given to workers, or not, and nothing is lost", {
  config: jobs({ ...ONE_AT_A_TIME, consume: [] }),
  files: JOB_WORKER,
}, async (d) => {
  const waiting = await push(d, "log", d.path("log"));
  const { consuming, waiting: count } = await pipelineOf(d);
  assertEquals([consuming, count], [false, 1]);
  d.configure(jobs(ONE_AT_A_TIME));
  await d.ok("reload");
  await ends(d, waiting);
  await using held = await holdJob(d);
  const later = await push(d, "log", d.path("log"));
  d.configure(jobs({ ...ONE_AT_A_TIME, consume: [] }));
  await d.ok("reload");
  held.finish();
  await until("the job to be done", async () => (await pipelineOf(d)).counts.done === 2);
  assertEquals((await pipelineOf(d)).waiting, 1);
  d.configure(jobs(ONE_AT_A_TIME));
  await d.ok("reload");
  await ends(d, later);
  assertEquals(deliveries(d), [waiting, held.id, later]);
});
