/** The real daemon with jobs in a file: it is killed, deploys, and meets a file that is not its own. */

import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { PidFile } from "../../lib/os/lock.ts";
import { daemonTest } from "../kit/daemon.ts";
import {
  deliveries,
  deployJobs,
  emptied,
  holdJob,
  JOB_WORKER,
  jobs,
  push,
  statOf,
} from "../kit/jobs.ts";
import type { Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";
import { pidsOf, runs, told } from "../kit/workers.ts";

const MAIL: Yaml = { mail: { driver: "sqlite", config: { file: "jobs.db" } } };
const IN_FILE = { config: jobs({ pipelines: MAIL }), files: JOB_WORKER };

daemonTest(
  "sqlite: a daemon killed: what waited and what a worker had is there for the next",
  IN_FILE,
  async (d) => {
    await using held = await holdJob(d);
    const waiting: string[] = [];
    for (let i = 0; i < 3; i++) waiting.push(await push(d, "log", d.path("log")));
    const { active: before, reserved: taken } = await statOf(d);
    assertEquals(before + taken, 4);
    d.kill("SIGKILL");
    await d.ended();
    assert(d.read("jobs.db-wal") !== undefined, "the journal was left behind");
    await d.start();
    const pid = await held.again();
    assertNotEquals(pid, held.pid);
    await until("the worker of the dead daemon to be gone", () => !runs(held.pid));
    held.finish();
    await emptied(d);
    assertEquals(deliveries(d), [held.id, held.id, ...waiting]);
    assertEquals(await told(d, "job_failed"), []);
    d.kill("SIGKILL");
    await d.ended();
    await d.start();
    const { active, delayed, reserved } = await statOf(d);
    assertEquals([active, delayed, reserved], [0, 0, 0], "what is done does not come back");
  },
);

daemonTest("sqlite: a deploy while jobs run: each is done once", IN_FILE, async (d) => {
  await using held = await holdJob(d);
  const waiting = await push(d, "log", d.path("log"));
  await deployJobs(d, "v2");
  await until("the waiting job", () => deliveries(d).includes(waiting));
  assertEquals((await statOf(d)).reserved, 1);
  held.finish();
  await emptied(d);
  await d.event("release_stopped");
  assertEquals(deliveries(d), [held.id, waiting]);
  assert(!(await pidsOf(d)).includes(held.pid));
  assertEquals(await told(d, "internal_error"), []);
});

daemonTest(
  "sqlite: a daemon that ends in order hands back what no worker has",
  IN_FILE,
  async (d) => {
    await using held = await holdJob(d);
    const waiting = await push(d, "log", d.path("log"));
    d.kill("SIGTERM");
    await until("the drain", () => d.output().includes('"event":"jobs_handed_back"'));
    held.finish();
    assertEquals((await d.ended()).code, 0);
    assertEquals(d.read("jobs.db-wal"), undefined, "the file is whole by itself");
    assertEquals(d.read("jobs.db.lock"), undefined);
    await d.start();
    await emptied(d);
    assertEquals(deliveries(d), [held.id, waiting]);
  },
);

daemonTest("sqlite: a file that another process has is refused, by name", {
  config: jobs(),
  files: JOB_WORKER,
}, async (d) => {
  const file = d.path("jobs.db");
  const theirs = PidFile.acquire(`${file}.lock`, { pid: Deno.pid, start: "1", boot_id: "x" });
  assert(!theirs.held);
  try {
    d.configure(IN_FILE.config);
    const { code, stderr } = await d.cli("reload");
    assertNotEquals(code, 0);
    assertStringIncludes(stderr, `"${file}": the process ${Deno.pid} has it in use`);
  } finally {
    theirs.release();
  }
  const { code } = await d.cli("reload");
  assertEquals(code, 0);
});
