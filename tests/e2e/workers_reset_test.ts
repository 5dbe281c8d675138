/** Reset, scale and `workers`: what operators do to the pools of a running daemon. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { startLoad } from "../kit/load.ts";
import { until } from "../kit/wait.ts";
import {
  deployWorkers,
  hold,
  pidsOf,
  runs,
  told,
  WORKER,
  workers,
  workerScript,
  workersOf,
} from "../kit/workers.ts";

/** What workers printed in vain before they ended. */
const BROKEN = workerScript('fwrite(STDERR, "no database\\n"); exit(4);');

daemonTest("reset under load: all are new, no request fails", {
  config: workers({ num_workers: 4 }),
  files: WORKER,
}, async (d) => {
  const before = await pidsOf(d);
  const loads = [
    startLoad({ port: d.port, connections: 3, path: "/version", every: 1 }),
    startLoad({ port: d.port, connections: 2, path: "/pid", mode: "close", every: 1 }),
    startLoad({ port: d.port, connections: 1, path: "/stream?n=4", every: 1 }),
    startLoad({ port: d.port, method: "POST", path: "/echo", body: "x".repeat(100_000), every: 5 }),
  ];
  await Promise.all(loads.map((load) => load.answers(3)));
  const { pools } = (await d.ok("reset", "http", "--json")).json();
  assertEquals(
    pools.map(({ pool, replaced }: { pool: string; replaced: number }) => [pool, replaced]),
    [["http", 4]],
  );
  await Promise.all(loads.map((load) => load.answers(3)));
  for (const load of loads) {
    const report = await load.stop();
    assertEquals(report.failed, 0, report.text);
  }
  const after = await pidsOf(d);
  assertEquals(after.length, 4);
  assertEquals(after.filter((pid) => before.includes(pid)), []);
  await until("the old ones to be gone", () => !before.some(runs));
});

daemonTest("a reset lets a held request finish; who is asked meanwhile is new", {
  config: workers({ num_workers: 1 }),
  files: WORKER,
}, async (d) => {
  await using held = await hold(d);
  const reset = d.cli("reset");
  const now = await until("another worker to serve", async () => {
    const pid = Number((await d.get("/pid")).text);
    return pid !== held.pid && pid;
  });
  assert(runs(held.pid));
  assertEquals(await held.finish(), { status: 200, text: "waited" });
  const { code, stdout } = await reset;
  assertEquals(code, 0);
  assertMatch(stdout, /http/);
  assertEquals(await pidsOf(d), [now]);
});

daemonTest("resets at the same time each do what they say", {
  config: workers({ num_workers: 3 }),
  files: WORKER,
}, async (d) => {
  const load = startLoad({ port: d.port, connections: 2, path: "/pid", every: 1 });
  const before = await pidsOf(d);
  const both = await Promise.all([d.ok("reset"), d.ok("reset", "http")]);
  assertEquals(both.map(({ code }) => code), [0, 0]);
  assertEquals((await pidsOf(d)).filter((pid) => before.includes(pid)), []);
  assertEquals((await told(d, "pool_reset")).map(({ replaced }) => replaced), [3, 3]);
  const report = await load.stop();
  assertEquals(report.failed, 0, report.text);
});

daemonTest("a reset that cannot be done leaves the workers; in a crash loop it mends the pool", {
  config: workers({ allocate_timeout: "10s" }),
  files: WORKER,
}, async (d) => {
  const before = await pidsOf(d);
  d.write("worker.php", BROKEN);
  const refused = await d.cli("reset", "http");
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /exited with code 4/);
  assertEquals(await pidsOf(d), before);
  assertEquals((await d.get()).text, "ok");

  for (const pid of before) Deno.kill(pid, "SIGKILL");
  const failing = await d.statusUntil("the pool to fail", ({ releases }) => {
    const [pool] = releases[0].pools;
    return pool.state === "failing" && /exited with code 4/.test(pool.reason!) && pool;
  });
  assertEquals(failing.idle, 0);
  assertEquals((await d.cli("reset", "http")).code, 1);
  // Whoever waits meanwhile is answered once there is somebody.
  const waiting = d.get();
  await d.statusUntil("the queue", ({ releases }) => releases[0].pools[0].queue === 1);
  d.write("worker.php", WORKER["worker.php"]);
  await d.ok("reset", "http");
  assertEquals((await waiting).text, "ok");
  await d.event("pool_recovered");
  assertEquals((await d.status()).releases[0].pools[0].state, "ready");
});

daemonTest("a worker may ask for the reset of its own pool", {
  config: (place) => workers({}, { rpc: { listen: `unix://${place.dir}/rpc.sock` } })(place),
  files: WORKER,
}, async (d) => {
  const before = await pidsOf(d);
  const call = "/rpc?method=resetter.Reset&json=%22http%22";
  assertEquals(await d.get(call), { status: 200, text: "true" });
  await until("all to be new", async () => {
    const now = await pidsOf(d);
    return now.length === 2 && !now.some((pid) => before.includes(pid));
  });
  // All at once, too: then nobody is there to be replaced but those who ask.
  const answers = await Promise.all([d.get(call), d.get(call)]);
  assertEquals(answers, Array(2).fill({ status: 200, text: "true" }));
  await d.statusUntil("the resets to be over", ({ operation }) => operation === null);
  assertEquals(await told(d, "request_failed"), []);
});

daemonTest("a request that hangs holds a reset up for reset_timeout, and no longer", {
  config: workers({ reset_timeout: "500ms" }),
  files: WORKER,
}, async (d) => {
  const before = await pidsOf(d);
  await using held = await hold(d);
  await using other = await hold(d);
  await d.ok("reset");
  const statuses = [(await held.answer).status, (await other.answer).status];
  assertEquals(statuses, [504, 504]);
  assertEquals((await pidsOf(d)).filter((pid) => before.includes(pid)), []);
});

daemonTest("workers: who does what since when", {
  config: workers(),
  files: WORKER,
}, async (d) => {
  await using held = await hold(d, "&secret=1");
  const seen = (await d.ok("workers", "--json")).json();
  assertEquals(seen.pools[0].pool, "http");
  assertEquals([seen.pools[0].idle, seen.pools[0].busy], [1, 1]);
  const busy = seen.workers.find(({ pid }: { pid: number }) => pid === held.pid);
  assertEquals([busy.state, busy.doing, busy.jobs], ["working", "GET /wait", 1]);
  assert(busy.since_ms >= 0 && busy.memory_bytes > 0 && busy.age_ms >= busy.since_ms);
  const idle = seen.workers.find(({ pid }: { pid: number }) => pid !== held.pid);
  assertEquals([idle.state, idle.doing, idle.since_ms], ["ready", null, null]);

  const { stdout } = await d.ok("workers", "http");
  assertMatch(stdout, new RegExp(`http#\\d +initial +${held.pid} +working +1 .*GET /wait`));
  assertMatch(stdout, new RegExp(`${idle.pid} +ready`));
  assert(!stdout.includes("secret"));
  const unknown = await d.cli("workers", "nope");
  assertEquals(unknown.code, 1);
  assertStringIncludes(unknown.stderr, 'no worker pool "nope"');
  assertStringIncludes(unknown.stderr, "pools: http");
  const restart = await d.cli("restart", "--process", "http");
  assertEquals(restart.code, 1);
  assertStringIncludes(restart.stderr, "workers (http) are replaced by `reset`");
  await held.finish();
  const after = (await workersOf(d)).workers.find(({ pid }) => pid === held.pid)!;
  assertEquals([after.state, after.doing], ["ready", null]);
});

daemonTest(
  "scale: more, fewer; kept over deploys and restarts until the configured number changes",
  {
    config: workers(),
    files: WORKER,
  },
  async (d) => {
    const count = async () => (await pidsOf(d)).length;
    const load = startLoad({ port: d.port, path: "/version", every: 1 });
    assertEquals((await d.ok("scale", "http", "4", "--json")).json().previous, 2);
    assertEquals(await count(), 4);
    assertEquals((await d.ok("scale", "http", "3", "--json")).json().previous, 4);
    assertEquals(await count(), 3);
    await deployWorkers(d, "v1");
    assertEquals(await count(), 3);
    const report = await load.stop();
    assertEquals(report.failed, 0, report.text);

    d.kill("SIGTERM");
    await d.ended();
    await d.start();
    assertEquals([(await d.status()).active_release_id, await count()], ["v1", 3]);
    await refusedScales(d);
    assertEquals(await count(), 3);

    d.configure(workers({ num_workers: 1 })(d));
    await d.ok("reload");
    assertEquals(await count(), 1);
    d.configure(workers({ num_workers: 2 })(d));
    await d.ok("reload");
    assertEquals(await count(), 2, "the number that scale said is forgotten");
  },
);

async function refusedScales(d: Daemon): Promise<void> {
  const unknown = await d.cli("scale", "nope", "2");
  assertEquals(unknown.code, 1);
  assertStringIncludes(unknown.stderr, "pools: http");
  assertEquals((await d.cli("scale", "http", "0")).code, 1);
}
