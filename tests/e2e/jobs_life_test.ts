/** Jobs while the real daemon deploys, resets, reloads, is killed, and while workers die. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import {
  deliveries,
  deployJobs,
  emptied,
  holdJob,
  JOB_WORKER,
  jobs,
  push,
  statOf,
  withoutJobs,
} from "../kit/jobs.ts";
import { fixture } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";
import { pidsOf, runs, told, workersOf } from "../kit/workers.ts";

const PLAIN = { config: jobs(), files: JOB_WORKER };

/** A worker that fails every job. */
const FAILING = `<?php
require '${fixture("php/http_wire.php")}';
$wire = new Wire();
while ($wire->request()) {
    $wire->answer(0, '', '{"type":1,"data":{"message":"not here","requeue":false}}');
}
`;

/** Lines that jobs of the task `log` wrote: id and pid of the worker. */
function logged(d: Daemon): [id: string, pid: number][] {
  return (d.read("log") ?? "").split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line)).map(([, id, , pid]) => [id, pid]);
}

/** Waits until the job has written its line. @returns the pid of its worker */
function writer(d: Daemon, id: string): Promise<number> {
  return until(`the line of ${id}`, () => logged(d).find(([one]) => one === id)?.[1]);
}

async function assertNothingBroke(d: Daemon): Promise<void> {
  for (const name of ["internal_error", "job_unsettled"] as const) {
    assertEquals(await told(d, name), [], name);
  }
}

daemonTest(
  "a deploy while a worker has a job: it is done there, others by new ones",
  PLAIN,
  async (d) => {
    await using held = await holdJob(d);
    const waiting = await push(d, "log", d.path("log"));
    await deployJobs(d, "v2");
    const fresh = await push(d, "log", d.path("log"));
    const [now] = await pidsOf(d, "v2");
    assertNotEquals(now, held.pid);
    assertEquals([await writer(d, waiting), await writer(d, fresh)], [now, now]);
    assert(runs(held.pid));
    assertEquals((await statOf(d)).reserved, 1);
    held.finish();
    await emptied(d);
    await d.event("release_stopped");
    assert(!runs(held.pid));
    assertEquals((await told(d, "release_drained")).map(({ cut }) => cut), [0]);
    assertEquals(deliveries(d), [held.id, waiting, fresh]);
    assertEquals(await told(d, "job_failed"), []);
    await assertNothingBroke(d);
  },
);

daemonTest(
  "a drain that is over: the next release has the job, as the same attempt",
  {
    config: jobs({ drain_timeout: "100ms" }, {
      mail: { retry: { max_attempts: 1 }, dead_letter: "keep" },
    }),
    files: JOB_WORKER,
  },
  async (d) => {
    await using held = await holdJob(d);
    await deployJobs(d, "v2");
    const pid = await held.again();
    assertEquals(await pidsOf(d, "v2"), [pid]);
    assert(!runs(held.pid), "nobody works on it beside the new worker");
    held.finish();
    await emptied(d);
    assertEquals(deliveries(d), [held.id, held.id]);
    assertEquals(await told(d, "jobs_handed_back"), [
      { pipeline: "mail", jobs: 1, reason: "the time for draining was over" },
    ]);
    await deployJobs(d, "v3");
    await using other = await holdJob(d);
    await deployJobs(d, "v4", FAILING);
    const { data } = await d.event("job_failed");
    const { id, attempt, release, then } = data as Record<string, unknown>;
    assertEquals([id, attempt, release, then], [other.id, 1, "v4", "dead"]);
    await assertNothingBroke(d);
  },
);

daemonTest(
  "a reset: a job is done by the worker that has it, the next by a new one",
  PLAIN,
  async (d) => {
    await using held = await holdJob(d);
    const waiting = await push(d, "log", d.path("log"));
    const reset = d.ok("reset", "jobs");
    const now = await writer(d, waiting);
    assertNotEquals(now, held.pid);
    assert(runs(held.pid));
    held.finish();
    await reset;
    await emptied(d);
    await until("the old worker to be gone", () => !runs(held.pid));
    assertEquals(await pidsOf(d), [now]);
    assertEquals(deliveries(d), [held.id, waiting]);
    assertEquals(await told(d, "job_failed"), []);
    await assertNothingBroke(d);
  },
);

daemonTest(
  "the section goes by a reload: a worker's job is done, the rest told as lost",
  PLAIN,
  async (d) => {
    await using held = await holdJob(d);
    await push(d, "log", d.path("log"));
    d.configure(withoutJobs(d));
    await d.ok("reload");
    await d.event("jobs_handed_back");
    assert(runs(held.pid));
    held.finish();
    await d.event("release_stopped");
    const { data: lost } = await d.event("jobs_lost");
    assertEquals([lost.pipeline, lost.jobs], ["mail", 1]);
    assertEquals((await told(d, "release_drained")).map(({ cut }) => cut), [0]);
    assertEquals((await workersOf(d)).workers, []);
    assertEquals([deliveries(d), logged(d)], [[held.id], []]);
    await assertNothingBroke(d);
  },
);

daemonTest(
  "a daemon killed: no worker stays, what was in memory does not come back",
  PLAIN,
  async (d) => {
    await using held = await holdJob(d);
    await push(d, "log", d.path("log"));
    d.kill("SIGKILL");
    await d.ended();
    await d.start();
    await until("the worker of the dead daemon to be gone", () => !runs(held.pid));
    const fresh = await push(d, "log", d.path("log"));
    assertEquals(await pidsOf(d), [await writer(d, fresh)]);
    await emptied(d);
    assertEquals(deliveries(d), [held.id, fresh]);
  },
);

daemonTest("a worker killed while it holds a job: told, and done by another", {
  config: jobs({}, { mail: { retry: { backoff: "1ms" } } }),
  files: JOB_WORKER,
}, async (d) => {
  await using held = await holdJob(d);
  Deno.kill(held.pid, "SIGKILL");
  const pid = await held.again();
  assertNotEquals(pid, held.pid);
  held.finish();
  await emptied(d);
  const failed = await told(d, "job_failed");
  assertEquals(failed.map(({ id, attempt, pid }) => [id, attempt, pid]), [[held.id, 1, held.pid]]);
  assertEquals(deliveries(d), [held.id, held.id]);
  await assertNothingBroke(d);
});

daemonTest("a shutdown: a worker's job is done, the rest told as lost", PLAIN, async (d) => {
  await using held = await holdJob(d);
  await push(d, "log", d.path("log"));
  d.kill("SIGTERM");
  const says = (event: string) =>
    until(event, () => d.output().split("\n").find((line) => line.includes(`"event":"${event}"`)));
  await says("jobs_handed_back");
  assert(runs(held.pid));
  held.finish();
  assertEquals((await d.ended()).code, 0);
  const { data: lost } = JSON.parse(await says("jobs_lost"));
  assertEquals([lost.pipeline, lost.jobs], ["mail", 1]);
  assertEquals([deliveries(d), logged(d)], [[held.id], []]);
  assert(!d.output().includes("drain_cut"));
});

daemonTest("a shutdown waits for a worker of an older release, too", PLAIN, async (d) => {
  await using held = await holdJob(d);
  await deployJobs(d, "v2");
  d.kill("SIGTERM");
  await until("the drain", () => d.output().includes(`"event":"daemon_stopping"`));
  await d.status(); // what does not wait has gone on by then
  held.finish();
  assertEquals((await d.ended()).code, 0);
  const drained = d.output().split("\n").find((line) => line.includes(`"release_drained"`))!;
  const { release, cut } = JSON.parse(drained).data;
  assertEquals([release, cut], ["initial", 0]);
});
