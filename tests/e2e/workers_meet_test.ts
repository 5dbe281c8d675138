/** Operations on worker pools that meet: the end in a reset, a swap with a queue, a kill in a deploy. */

import { assert, assertEquals } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { deployPath } from "../kit/deploying.ts";
import { startLoad } from "../kit/load.ts";
import { until } from "../kit/wait.ts";
import {
  deployWorkers,
  hold,
  pidsOf,
  runs,
  told,
  WORKER,
  workerRelease,
  workers,
  workersOf,
} from "../kit/workers.ts";

const ONE = { config: workers({ num_workers: 1 }), files: WORKER };

/** A worker that never answers the handshake. */
const MUTE = "<?php sleep(1000);";

/** Requests that wait behind the held one. */
async function queued(d: Daemon, count: number) {
  const answers = Array.from({ length: count }, () => d.get("/version"));
  await until("the queue", async () => (await workersOf(d)).pools[0].queue === count);
  return answers;
}

daemonTest("what waits in the queue when a signal ends the daemon is answered", ONE, async (d) => {
  await using held = await hold(d);
  const answers = await queued(d, 5);
  d.kill("SIGTERM");
  await until("the drain", () => d.output().includes("daemon_stopping"));
  assertEquals((await held.finish()).status, 200);
  for (const { status, text } of await Promise.all(answers)) {
    assertEquals([status, text], [200, "initial"]);
  }
  assertEquals(await d.ended(), { code: 0, signal: null });
});

daemonTest("what waits in the queue over a deploy is answered by the old pool", ONE, async (d) => {
  await deployWorkers(d, "v1", "--wait");
  await using held = await hold(d);
  const answers = await queued(d, 5);
  await deployWorkers(d, "v2");
  assertEquals((await d.get("/version")).text, "v2");
  assertEquals((await held.finish()).status, 200);
  for (const { status, text } of await Promise.all(answers)) {
    assertEquals([status, text], [200, "v1"]);
  }
  await d.statusUntil("v1 to be gone", ({ releases }) => releases[0].state === "stopped");
});

daemonTest(
  "what waits for an old pool whose last worker dies goes to the new one",
  ONE,
  async (d) => {
    await deployWorkers(d, "v1", "--wait");
    await using held = await hold(d);
    const answers = await queued(d, 5);
    await deployWorkers(d, "v2");
    Deno.kill(held.pid, "SIGKILL");
    assertEquals((await held.answer).status, 502, "a request that was begun is not sent again");
    for (const { status, text } of await Promise.all(answers)) {
      assertEquals([status, text], [200, "v2"]);
    }
  },
);

daemonTest("what waits in the queue over a reset is answered by the new worker", ONE, async (d) => {
  await using held = await hold(d);
  const answers = await queued(d, 5);
  const reset = d.ok("reset");
  for (const { status } of await Promise.all(answers)) assertEquals(status, 200);
  assertEquals((await held.finish()).status, 200);
  await reset;
});

daemonTest(
  "the end of the daemon ends a reset that waits, and lets the request finish",
  ONE,
  async (d) => {
    await using held = await hold(d);
    const reset = d.cli("reset");
    await until("the successor", async () => (await pidsOf(d)).some((pid) => pid !== held.pid));
    d.kill("SIGTERM");
    assertEquals((await reset).code, 1);
    assert(d.running && runs(held.pid));
    assertEquals((await held.finish()).status, 200);
    assertEquals(await d.ended(), { code: 0, signal: null });
    assertEquals(d.leftovers(), []);
  },
);

daemonTest("a signal while the first workers start ends it at once, and nothing is left", {
  config: workers(),
  files: { "worker.php": MUTE },
  start: false,
}, async (d) => {
  d.launch();
  await until(
    "the workers",
    () => d.leftovers().filter(({ command }) => command.includes("worker.php")).length === 2,
  );
  d.kill("SIGTERM");
  assertEquals(await d.ended(), { code: 0, signal: null });
  assertEquals(d.leftovers(), []);
});

daemonTest("a signal in a crash loop: who waits is refused in time, then it ends", {
  config: workers({ num_workers: 1, allocate_timeout: "3s" }),
  files: WORKER,
}, async (d) => {
  d.write("worker.php", "<?php exit(4);");
  for (const pid of await pidsOf(d)) Deno.kill(pid, "SIGKILL");
  await d.event("pool_failing");
  const [waiting] = await queued(d, 1);
  d.kill("SIGTERM");
  assertEquals((await waiting).status, 503);
  assertEquals(await d.ended(), { code: 0, signal: null });
  assertEquals(d.leftovers(), []);
});

daemonTest("a daemon killed in a deploy: the release before is back, the rest is gone", {
  config: workers(),
  files: WORKER,
}, async (d) => {
  await deployWorkers(d, "v1", "--wait");
  const deploying = deployPath(d, workerRelease(d, "v2", MUTE), { release_id: "v2" });
  await until(
    "the workers of v2 in the book",
    () => JSON.parse(d.read("state/processes.json")!).processes.length === 4,
  );
  d.kill("SIGKILL");
  await d.ended();
  await deploying.outcome().catch(() => {});
  await d.start();
  await d.statusUntil("the orphans to be gone", ({ orphans }) => orphans.length === 0);
  assertEquals((await d.get("/version")).text, "v1");
  const alive = d.leftovers().filter(({ command }) => command.includes("worker.php"));
  assertEquals(alive.map(({ pid }) => pid).sort(), (await pidsOf(d)).sort());
});

daemonTest(
  "reset, deploy, scale and reload all at once, under load: in turn, and no request fails",
  {
    config: workers({ num_workers: 3 }),
    files: WORKER,
  },
  async (d) => {
    const loads = ["/version", "/stream?n=5", "/body?bytes=200000"].map((path) =>
      startLoad({ port: d.port, connections: 2, path, every: 1 })
    );
    await Promise.all(loads.map((load) => load.answers(1)));
    const path = workerRelease(d, "v1");
    d.configure(workers({ num_workers: 2, max_jobs: 50 })(d));
    const done = await Promise.all([
      d.cli("reset"),
      d.cli("deploy", "--release-path", path, "--release-id", "v1", "--wait"),
      d.cli("scale", "http", "4"),
      d.cli("reload"),
      d.cli("reset", "http"),
      d.cli("rollback").then((result) => ({ ...result, code: 0 })),
    ]);
    assertEquals(done.map(({ code }) => code), done.map(() => 0), done.map((r) => r.stderr).join());
    await Promise.all(loads.map((load) => load.answers(1)));
    for (const load of loads) {
      const report = await load.stop();
      assertEquals(report.failed, 0, report.text);
    }
    assertEquals(await told(d, "request_failed"), []);
    assertEquals(await told(d, "internal_error"), []);
  },
);
