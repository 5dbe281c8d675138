/** A daemon with pipelines: what stands around them, seen from the outside. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { daemonTest } from "../kit/daemon.ts";
import { fixture, type Yaml } from "../kit/programs.ts";
import { told, workersOf } from "../kit/workers.ts";

const WORKER = { "worker.php": `<?php require '${fixture("php/jobs_worker.php")}';\n` };

function withJobs(jobs: Yaml, pools: Yaml = { pool: { num_workers: 2 } }): Yaml {
  return { server: { command: "php worker.php" }, jobs: { ...pools, ...jobs } };
}

daemonTest("workers of jobs come up with their mode, and the daemon ends in order", {
  config: withJobs({ pipelines: { "App.Mail": { driver: "memory" } }, consume: ["App.Mail"] }),
  files: WORKER,
}, async (d) => {
  const { workers } = await workersOf(d);
  assertEquals(workers.map(({ id, plugin, state }) => [id, plugin, state]), [
    ["jobs#0", "jobs", "ready"],
    ["jobs#1", "jobs", "ready"],
  ]);
  for (const { pid } of workers) {
    const environment = Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0");
    assert(environment.includes("RR_MODE=jobs"), environment.join(" "));
  }
});

daemonTest("named pools: each has its workers, and one is scaled alone", {
  config: withJobs({
    pipelines: { a: { driver: "memory" }, b: { driver: "memory", pool: "Big.Mail" } },
  }, { pools: { default: { num_workers: 1 }, "Big.Mail": { num_workers: 2 } } }),
  files: WORKER,
}, async (d) => {
  const ids = async () => (await workersOf(d)).workers.map(({ id }) => id).toSorted();
  assertEquals(await ids(), ["jobs.Big.Mail#0", "jobs.Big.Mail#1", "jobs.default#0"]);
  await d.ok("scale", "jobs.default", "2");
  assertEquals((await ids()).length, 4);
});

daemonTest("a reload adds and removes pipelines without new workers", {
  config: withJobs({ pipelines: { a: { driver: "memory" } }, consume: ["a"] }),
  files: WORKER,
}, async (d) => {
  const before = (await workersOf(d)).workers.map(({ pid }) => pid);
  d.configure(withJobs({ pipelines: { b: { driver: "memory", priority: 2 } }, consume: ["b"] }));
  const { stdout } = await d.ok("reload");
  assertStringIncludes(stdout, "jobs.pipelines.b");
  assertEquals((await workersOf(d)).workers.map(({ pid }) => pid), before);
  assertEquals(await told(d, "internal_error"), []);
});

daemonTest("drivers that are not there are refused by name", {
  config: withJobs({ pipelines: { a: { driver: "memory" } } }),
  files: WORKER,
}, async (d) => {
  for (const driver of ["kafka", "sqs"]) {
    d.configure(withJobs({ pipelines: { a: { driver } } }));
    const { code, stderr } = await d.cli("validate");
    assertEquals(code, 3);
    assertStringIncludes(stderr, `"${driver}", which this version does not support yet`);
    assertStringIncludes(stderr, "fix: write memory");
  }
});
