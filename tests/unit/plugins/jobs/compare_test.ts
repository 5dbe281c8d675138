/** How changes of the section take effect. */

import { assertEquals } from "@std/assert";
import type { JobsConfig } from "../../../../lib/config/roadrunner/jobs.ts";
import { compareJobs, reopened } from "../../../../plugins/jobs/compare.ts";
import { jobsOf, pool } from "./kit.ts";

const old = jobsOf({ mail: {} });

const CASES: [next: JobsConfig, changes: string[]][] = [
  [old, []],
  [jobsOf({ mail: { priority: 2, prefetch: 5 } }), [
    "jobs.pipelines.mail.priority live",
    "jobs.pipelines.mail.prefetch live",
  ]],
  [jobsOf({ mail: { driver: "sqlite" } }), ["jobs.pipelines.mail.driver listener"]],
  [jobsOf({ mail: {}, other: {} }), ["jobs.pipelines.other listener", "jobs.consume live"]],
  [jobsOf({}), ["jobs.pipelines.mail listener", "jobs.consume live"]],
  [jobsOf({ mail: {} }, { pool: { ...pool, num_workers: 7 } }), [
    "jobs.pool.num_workers generation",
  ]],
  [jobsOf({ mail: {} }, { pool: { ...pool, max_jobs: 7 } }), ["jobs.pool.max_jobs live"]],
  [jobsOf({ mail: {} }, { pool: undefined, pools: { default: pool } }), [
    "jobs.pools.default generation",
    "jobs.pool generation",
  ]],
  [jobsOf({ mail: {} }, { timeout: 1, drain_timeout: 1 }), [
    "jobs.timeout live",
    "jobs.drain_timeout live",
  ]],
];

for (const [next, changes] of CASES) {
  Deno.test(`changes of jobs: ${changes.join(", ") || "none"}`, () => {
    const told = compareJobs(old, next).map(({ field, effect }) => `${field} ${effect}`);
    assertEquals(told, changes);
  });
}

Deno.test("a section that comes or goes is a new generation", () => {
  assertEquals(compareJobs(undefined, old)[0].effect, "generation");
  assertEquals(compareJobs(old, undefined)[0].reason, "removed");
  assertEquals(compareJobs(undefined, undefined), []);
});

Deno.test("opened anew: those whose driver or file is another", () => {
  const file = (path: string) => ({ config: { ...old.pipelines.mail.config, file: path } });
  const before = jobsOf({ a: file("/1"), b: file("/1"), c: {} });
  const after = jobsOf({ a: file("/1"), b: file("/2"), c: { priority: 1 }, d: {} });
  assertEquals(reopened(before, after), ["b", "d"]);
  assertEquals(reopened(undefined, after), ["a", "b", "c", "d"]);
});
