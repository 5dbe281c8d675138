/**
 * Start and end of a daemon with workers: what is live before any deploy, what a signal lets finish, and
 * what the next daemon finds after a SIGKILL.
 */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { daemonTest } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
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
} from "../kit/workers.ts";

/** Budgets that never end within a test. */
const PATIENT = { http: { drain_timeout: "10m" } };

/** Stays at the gate the first time; says when it runs twice. */
const INIT = `
if [ -f pid ] && [ -e "/proc/$(cat pid)/cwd" ]; then : >overlap; fi
if [ -f pid ]; then exit 0; fi
echo $$ >pid
read _ <gate`;

daemonTest("release initial: live at once, listed, not a place to roll back to, not remembered", {
  config: workers(),
  files: WORKER,
}, async (d) => {
  assertEquals((await d.get("/version")).text, "initial");
  const status = await d.status();
  assertEquals(status.active_release_id, "initial");
  assertEquals(status.releases.map(({ release_id, release_path }) => [release_id, release_path]), [
    ["initial", d.dir],
  ]);
  const [pool] = status.releases[0].pools;
  assertEquals([pool.pool, pool.state, pool.target, pool.idle], ["http", "ready", 2, 2]);
  const http = status.intakes.find(({ name }) => name === "http")!;
  assertEquals([http.address, http.state], [`127.0.0.1:${d.port}`, "open"]);

  await deployWorkers(d, "v1", "--wait");
  assertEquals((await d.status()).releases.map(({ release_id }) => release_id), ["v1"]);
  assertEquals((await d.cli("rollback")).code, 1);
  d.kill("SIGTERM");
  await d.ended();
  await d.start();
  assertEquals((await d.get("/version")).text, "v1");
});

daemonTest("a command that names the release waits for the first deploy: 503 until then", {
  config: workers({}, { server: { command: "php {{release_path}}/worker.php" } }),
}, async (d) => {
  const response = await fetch(`http://127.0.0.1:${d.port}/`);
  await response.body?.cancel();
  assertEquals([response.status, response.headers.get("retry-after")], [503, "1"]);
  assertEquals((await d.status()).active_release_id, null);
  const { code, stderr } = await d.cli("reset");
  assertEquals(code, 1);
  assertMatch(stderr, /deploy a release first/);
  await deployWorkers(d, "v1");
  assertEquals((await d.get("/version")).text, "v1");
  await d.ok("stop");
  assertEquals((await d.get("/version")).status, 503);
  assertEquals(d.leftovers().map(({ pid }) => pid), [d.pid]);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  daemonTest(`${signal} lets a request finish, then nothing is left`, {
    config: workers({}, PATIENT),
    files: WORKER,
  }, async (d) => {
    await using held = await hold(d);
    d.kill(signal);
    await until("the drain", () => d.output().includes("daemon_stopping"));
    await until("new clients to be refused", () => d.get().then(() => false, () => true));
    assert(d.running && runs(held.pid));
    assertEquals(await held.finish(), { status: 200, text: "waited" });
    assertEquals(await d.ended(), { code: 0, signal: null });
    assertEquals(d.leftovers(), []);
  });
}

daemonTest("a second signal hurries: the request is cut after force_stop_timeout", {
  config: workers({ destroy_timeout: "10m" }, {
    ...PATIENT,
    proxy: { force_stop_timeout: "300ms", address: "127.0.0.1:0" },
    processes: {},
  }),
  files: WORKER,
}, async (d) => {
  await using held = await hold(d);
  d.kill("SIGTERM");
  await until("the drain", () => d.output().includes("daemon_stopping"));
  assert(runs(held.pid));
  d.kill("SIGTERM");
  assertEquals(await d.ended(), { code: 0, signal: null });
  assertEquals(d.leftovers(), []);
  await held.answer.then(({ status }) => assertEquals(status, 503), () => {});
});

daemonTest("a third signal kills at once", {
  config: workers({ destroy_timeout: "10m" }, {
    ...PATIENT,
    proxy: { force_stop_timeout: "10m", address: "127.0.0.1:0" },
    processes: {},
  }),
  files: WORKER,
}, async (d) => {
  await using _ = await hold(d);
  for (let times = 1; times <= 3; times++) {
    d.kill("SIGTERM");
    await until("the signal", () => d.output().split("signal_received").length > times);
  }
  await d.ended();
  assertEquals(d.leftovers(), []);
});

daemonTest("a daemon that is killed: the next one finds its workers, stops them, and serves", {
  config: workers(),
  files: WORKER,
}, async (d) => {
  await deployWorkers(d, "v1", "--wait");
  const before = await pidsOf(d);
  // Over its pipes an idle worker hears of the death; one that works, or sleeps, does not.
  await using held = await hold(d);
  const child = Number((await d.get("/fork")).text);
  d.kill("SIGKILL");
  await d.ended();
  assert(runs(held.pid) && runs(child));

  await d.start();
  await d.statusUntil("the orphans to be gone", ({ orphans }) => orphans.length === 0);
  assertEquals([...before, child].filter(runs), []);
  const found = (await told(d, "orphan_found")).map(({ pid }) => pid);
  assert(found.includes(held.pid), `${found}`);
  assertEquals((await d.get("/version")).text, "v1");
  const after = await pidsOf(d);
  assertEquals(after.length, 2);
  for (const pid of after) assertNotEquals(before.includes(pid), true);
  assertEquals(JSON.parse(d.read("state/processes.json")!).processes.length, 2);
});

daemonTest("on_init of a daemon that is killed does not run beside that of the next one", {
  config: workers({}, { server: { on_init: { command: "sh init.sh" } } }),
  files: { ...WORKER, "init.sh": INIT },
  start: false,
}, async (d) => {
  await using _ = new Fifo(d.path("gate"));
  d.launch();
  const first = Number(await until("on_init to run", () => d.read("pid")?.trim()));
  await until("its entry in the book", () => d.read("state/processes.json")?.includes("on_init"));
  d.kill("SIGKILL");
  await d.ended();
  assert(runs(first));
  await d.start();
  assertEquals([runs(first), d.read("overlap")], [false, undefined]);
  assertEquals((await told(d, "on_init_finished")).length, 1);
  await until(
    "the book to hold workers only",
    () => JSON.parse(d.read("state/processes.json")!).processes.length === 2,
  );
});

daemonTest("a release that cannot come back does not end the daemon; it is tried again", {
  config: workers(),
  files: WORKER,
}, async (d) => {
  await deployWorkers(d, "v1");
  d.kill("SIGTERM");
  await d.ended();
  workerRelease(d, "v1", "<?php exit(4);");
  await d.start();
  assertEquals((await d.get()).status, 503);
  const { restore } = await d.status();
  assertMatch(restore!.error, /exited with code 4/);
  workerRelease(d, "v1");
  await d.statusUntil("it to be live", ({ active_release_id }) => active_release_id === "v1");
  assertEquals((await d.get("/version")).text, "v1");
});
