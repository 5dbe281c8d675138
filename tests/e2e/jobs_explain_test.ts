/** `explain PIPELINE` against the real daemon: why jobs are not done, each reason from the outside. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Explanation, Subject } from "../../lib/control/operations.ts";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { emptied, holdJob, JOB_WORKER, jobs, pipelineOf, push } from "../kit/jobs.ts";
import { freePort } from "../kit/ports.ts";
import { until } from "../kit/wait.ts";

async function explained(d: Daemon, name: string): Promise<Subject> {
  const { subjects } = (await d.ok("explain", name, "--json")).json() as Explanation;
  assertEquals(subjects.map(({ kind, id }) => [kind, id]), [["pipeline", name]]);
  return subjects[0];
}

/** The state, and whether each of the texts is among the reasons. */
async function assertSays(d: Daemon, name: string, state: string, ...texts: string[]) {
  const one = await explained(d, name);
  assertEquals(one.state, state);
  for (const text of texts) assertStringIncludes(one.because.join("\n"), text);
}

const AWAY = `127.0.0.1:${freePort()}`;

daemonTest("why jobs of a pipeline are not done", {
  config: jobs({
    num_pollers: 1,
    pipelines: {
      mail: { driver: "memory", parallelism: 1, rate: "1000/s", dead_letter: "keep" },
      idle: { driver: "memory" },
      away: { driver: "redis" },
    },
    consume: ["mail", "away"],
  }, { redis: { addr: AWAY } }),
  files: JOB_WORKER,
}, async (d) => {
  await assertSays(d, "mail", "consuming", "0 of its jobs wait, 0 are not due yet");
  await assertSays(d, "idle", "paused", "not in jobs.consume", "supervisor jobs resume idle");
  await d.event("pipeline_down");
  const [away] = (await explained(d, "away")).because;
  assertMatch(away, /^its driver redis cannot be reached since \S+Z: .+; the next try is /);

  await using held = await holdJob(d);
  await push(d, "log", d.path("log"));
  await assertSays(
    d,
    "mail",
    "consuming",
    'no worker of its pool "jobs" is free: 1 of 1 are busy',
    "as many of its jobs are at workers as parallelism allows: 1",
    "no more than 1000 of its jobs begin within 1s (rate)",
    "1 of its jobs wait, 0 are not due yet, 1 are at workers",
  );
  held.finish();
  await emptied(d);

  const failed = await push(d, "fail");
  await until("a dead letter", async () => (await pipelineOf(d)).dead === 1);
  await assertSays(
    d,
    "mail",
    "consuming",
    "1 are dead letters: supervisor jobs dead mail",
    "2 were done, 1 tries failed",
    `the last that failed was fail (${failed})`,
    "try 1: it failed; then: dead",
  );
  await d.ok("jobs", "pause", "mail");
  const paused = await explained(d, "mail");
  assertMatch(paused.because[0], /^it was paused at \S+Z: .+ supervisor jobs resume mail$/);
  assertEquals(paused.history.at(-1)!.text, "paused");
  await d.ok("jobs", "resume", "mail");
  await d.ok("stop");
  await assertSays(d, "mail", "stopped", "no release is live");

  const { code, stderr } = await d.cli("explain", "mial");
  assertEquals(code, 1);
  assertStringIncludes(stderr, 'did you mean "mail"?');
  d.kill("SIGTERM");
  await d.ended();
  const past = await d.ok("explain", "mail");
  assertMatch(past.stdout, /^pipeline mail: gone\n/);
  assertStringIncludes(past.stdout, "it failed");
});
