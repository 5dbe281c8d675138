/** The limits of a pool, end to end: what ends a worker, and what a client gets. */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { startLoad } from "../kit/load.ts";
import type { Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";
import { hold, pidsOf, runs, told, WORKER, workers, workersOf } from "../kit/workers.ts";

/** Looks every 50 ms. */
const supervisor = (limits: Yaml): Yaml => ({ supervisor: { watch_tick: "50ms", ...limits } });

/** How often workers of the only pool were replaced for this. */
async function replaced(d: Daemon, why: string): Promise<number> {
  return (await workersOf(d)).pools[0].replaced[why] ?? 0;
}

daemonTest("max_jobs: workers go after so many requests, and none fails", {
  config: workers({ max_jobs: 5 }),
  files: WORKER,
}, async (d) => {
  const load = startLoad({ port: d.port, path: "/pid", connections: 4, every: 1 });
  await load.answers(60);
  const report = await load.stop();
  assertEquals(report.failed, 0, report.text);
  assert(await replaced(d, "max_jobs") >= 60 / 5 - 2);
  for (const { jobs } of (await workersOf(d)).workers) assert(jobs <= 5, `${jobs} jobs`);
});

daemonTest("ttl: who is old is replaced, under load, and no request fails", {
  config: workers(supervisor({ ttl: "300ms" })),
  files: WORKER,
}, async (d) => {
  const first = await pidsOf(d);
  const load = startLoad({ port: d.port, path: "/pid", connections: 2, every: 1 });
  await until("the first to be gone", () => !first.some(runs));
  await load.answers(5);
  const report = await load.stop();
  assertEquals(report.failed, 0, report.text);
  assert(await replaced(d, "ttl") >= 2);
});

daemonTest("idle_ttl: who has rested is replaced; who was never asked stays", {
  config: workers(supervisor({ idle_ttl: "200ms" })),
  files: WORKER,
}, async (d) => {
  const [one, other] = await pidsOf(d);
  const asked = Number((await d.get("/pid")).text);
  await until("who was asked to be gone", () => !runs(asked));
  assert(runs(asked === one ? other : one));
});

daemonTest("max_worker_memory: acts between requests, not in one", {
  config: workers({ num_workers: 1, ...supervisor({ max_worker_memory: 64 }) }),
  files: {
    "worker.php": `<?php ini_set('memory_limit', '-1');?>${WORKER["worker.php"]}`,
  },
}, async (d) => {
  const pid = Number((await d.get("/pid")).text);
  assertEquals((await d.get("/leak?mb=100")).text, "kept");
  const next = await until("another worker", async () => {
    const now = Number((await d.get("/pid")).text);
    return now !== pid && now;
  });
  await until("the big one to be gone", () => !runs(pid));
  assertEquals(await pidsOf(d), [next]);
  assertEquals(await told(d, "request_failed"), []);
});

daemonTest("exec_ttl: 504, and the worker is gone, although it has children", {
  config: workers({ num_workers: 1, ...supervisor({ exec_ttl: "1s" }) }),
  files: WORKER,
}, async (d) => {
  const child = Number((await d.get("/fork")).text);
  const pid = Number((await d.get("/pid")).text);
  await using held = await hold(d);
  assertEquals(held.pid, pid);
  const { status, text } = await held.answer;
  assertEquals(status, 504);
  assertMatch(text, /did not answer in time/);
  await until("the worker and its child to be gone", () => !runs(pid) && !runs(child));
  assertNotEquals(Number((await d.get("/pid")).text), pid);
  const [failed] = await told(d, "request_failed");
  assertEquals([failed.target, failed.kind, failed.status, failed.pid], [
    "GET /wait",
    "timeout",
    504,
    pid,
  ]);
});

daemonTest("max_queue_size: one more is refused at once, the others are answered", {
  config: workers({ num_workers: 1, max_queue_size: 2 }),
  files: WORKER,
}, async (d) => {
  await using held = await hold(d);
  const waiting = d.get("/pid");
  await d.statusUntil("one to wait", ({ releases }) => releases[0].pools[0].queue === 1);
  const refused = await d.get("/pid");
  assertEquals(refused.status, 503);
  assertMatch(refused.text, /too many requests wait/);
  assertEquals((await held.finish()).status, 200);
  assertEquals((await waiting).status, 200);
  const [exhausted] = await told(d, "pool_exhausted");
  assertMatch(exhausted.reason, /2 requests wait or are answered already/);
});

daemonTest("allocate_timeout: who waits for too long gets 503 with No-Workers", {
  config: workers({ num_workers: 1, allocate_timeout: "1500ms" }),
  files: WORKER,
}, async (d) => {
  await using held = await hold(d);
  const response = await fetch(`http://127.0.0.1:${d.port}/pid`);
  await response.body?.cancel();
  assertEquals([response.status, response.headers.get("no-workers")], [503, "true"]);
  assertEquals((await held.finish()).status, 200);
  assertEquals((await workersOf(d)).pools[0].no_free_workers, 1);
});

daemonTest("dynamic_allocator: more while requests wait, fewer when they no longer do", {
  config: workers({
    num_workers: 1,
    dynamic_allocator: { max_workers: 2, spawn_rate: 2, idle_timeout: "1s" },
    ...supervisor({}),
  }),
  files: WORKER,
}, async (d) => {
  await using first = await hold(d);
  // Nobody is free until more are started.
  await using second = await hold(d);
  assertNotEquals(first.pid, second.pid);
  await Promise.all([first.finish(), second.finish()]);
  await until("one to be left", async () => (await pidsOf(d)).length === 1);
  const changes = (await told(d, "pool_adapted")).map(({ from, to }) => [from, to]);
  assertEquals(changes[0], [1, 3]);
  assertEquals(changes.at(-1)![1], 1);
});

daemonTest("debug: each request has a worker of its own, with the code as it is then", {
  config: workers({ debug: true }),
  files: WORKER,
}, async (d) => {
  const pids = [];
  for (let i = 0; i < 3; i++) pids.push((await d.get("/pid")).text);
  assertEquals(new Set(pids).size, 3);
  const error = await d.get("/error?text=it+%3Cbroke%3E");
  assertEquals([error.status, error.text], [500, "it &lt;broke&gt;"]);

  d.write("worker.php", '<?php fwrite(STDERR, "syntax\\n"); exit(4);');
  const broken = await d.get("/");
  assertEquals(broken.status, 503);
  d.write("worker.php", WORKER["worker.php"]);
  assertEquals((await d.get()).text, "ok");
  assertEquals((await d.cli("scale", "http", "3")).code, 1);
  assertEquals((await d.cli("reset", "http")).code, 0);
  await until("nobody to be left", async () => (await workersOf(d)).workers.length === 0);
});
