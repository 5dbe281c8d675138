/** A changed configuration of workers while the daemon runs: by SIGHUP, by reload, with a deploy. */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { startLoad } from "../kit/load.ts";
import { freePort } from "../kit/ports.ts";
import { program, type Yaml } from "../kit/programs.ts";
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

const BASE = { config: workers(), files: WORKER };

/** Lays another configuration down; see workers(). */
function configure(d: Daemon, pool: Yaml = {}, more: Yaml = {}): void {
  d.configure(workers(pool, more)(d));
}

/** Changes as `field: effect`. */
function changes(result: { json(): { changes: { field: string; effect: string }[] } }): string[] {
  return result.json().changes.map(({ field, effect }) => `${field}: ${effect}`).sort();
}

daemonTest("plan names what a reload would do, and does none of it", BASE, async (d) => {
  const before = await pidsOf(d);
  configure(d, { num_workers: 3, max_jobs: 9, supervisor: { exec_ttl: "1s" } }, {
    server: { env: { A: "b" } },
    http: { address: `127.0.0.1:${freePort()}`, access_logs: true },
  });
  assertEquals(changes(await d.ok("plan", "--json")), [
    "http.access_logs: live",
    "http.address: listener",
    "http.pool.max_jobs: live",
    "http.pool.num_workers: generation",
    "http.pool.supervisor.exec_ttl: live",
    "server.env.A: generation",
  ]);
  assertEquals(await pidsOf(d), before);
  assertEquals(await told(d, "config_reloaded"), []);
});

daemonTest("SIGHUP: number and command by a new generation, under load", BASE, async (d) => {
  const before = await pidsOf(d);
  const load = startLoad({ port: d.port, connections: 3, path: "/version", every: 1 });
  await load.answers(1);
  await using held = await hold(d);
  d.write("other.php", workerScript());
  configure(d, { num_workers: 3, command: "php other.php" });
  d.kill("SIGHUP");
  await d.statusUntil("the next generation", (status) => status.active_release_id === "initial~2");
  await load.answers(5, "initial~2");
  const report = await load.stop();
  assertEquals(report.failed, 0, report.text);
  const live = (await workersOf(d)).workers.filter((one) => one.release_id === "initial~2");
  assertEquals(live.map(({ command }) => command), Array(3).fill("php other.php"));
  assert(runs(held.pid));
  assertEquals((await held.finish()).status, 200);
  await until("the old workers to be gone", () => !before.some(runs));
});

daemonTest("limits apply live, to the workers that are there", BASE, async (d) => {
  const before = await pidsOf(d);
  await using held = await hold(d);
  await using other = await hold(d);
  configure(d, { max_queue_size: 2 }, { http: { internal_error_code: 555 } });
  const { active_release_id } = (await d.ok("reload", "--json")).json();
  assertEquals(active_release_id, undefined, "no generation was needed");
  assertEquals((await d.get("/pid")).status, 503);
  await Promise.all([held.finish(), other.finish()]);
  assertEquals((await d.get("/error")).status, 555);
  assertEquals(await pidsOf(d), before);
});

daemonTest("another address: the new one is there before the old one goes", BASE, async (d) => {
  const before = await pidsOf(d);
  const port = freePort();
  await using held = await hold(d);
  configure(d, {}, { http: { address: `127.0.0.1:${port}` } });
  await d.ok("reload");
  const answer = await fetch(`http://127.0.0.1:${port}/pid`);
  assert(before.includes(Number(await answer.text())));
  await until("the old one to be closed", () => d.get().then(() => false, () => true));
  assertEquals(await held.finish(), { status: 200, text: "waited" }, "who is connected is served");
  assertEquals(await pidsOf(d), before);
  const http = (await d.status()).intakes.find(({ name }) => name === "http");
  assertEquals(http?.address, `127.0.0.1:${port}`);
});

daemonTest("an address that is taken changes nothing", BASE, async (d) => {
  const before = await pidsOf(d);
  using taken = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  configure(d, { num_workers: 4 }, { http: { address: `127.0.0.1:${taken.addr.port}` } });
  const { code, stderr } = await d.cli("reload");
  assertNotEquals(code, 0);
  assertMatch(stderr, /http\.address/);
  assertEquals(await pidsOf(d), before);
  assertEquals((await d.get()).text, "ok");
});

daemonTest("a bad file, or workers that do not come up, change nothing", BASE, async (d) => {
  const before = await pidsOf(d);
  configure(d, { num_worker: 4 });
  const misspelt = await d.cli("reload");
  assertEquals(misspelt.code, 3);
  assertMatch(misspelt.stderr, /unknown key "num_worker" in http\.pool[^]*num_workers/);

  const port = freePort();
  configure(d, { command: "php missing.php", max_queue_size: 1 }, {
    http: { address: `127.0.0.1:${port}` },
  });
  const missing = await d.cli("reload");
  assertEquals(missing.code, 1);
  assertMatch(missing.stderr, /Could not open input file: missing\.php/);
  assertEquals(await pidsOf(d), before);
  assertEquals((await d.get()).text, "ok");
  await fetch(`http://127.0.0.1:${port}/`).then(
    () => assert(false, "the new address is let go"),
    () => {},
  );
  const rejected = (await told(d, "config_rejected")).map(({ trigger }) => trigger);
  assertEquals(rejected, ["reload", "reload"]);
});

daemonTest("the section goes, and comes back", {
  config: (place) => ({ ...workers()(place), ...CLOCK }),
  files: WORKER,
}, async (d) => {
  const before = await pidsOf(d);
  await using held = await hold(d);
  d.configure(CLOCK);
  await d.ok("reload");
  await until("the address to be closed", () => d.get().then(() => false, () => true));
  assertEquals(await held.finish(), { status: 200, text: "waited" });
  await until("the workers to be gone", () => !before.some(runs));
  await until("the pool to be gone", async () => (await workersOf(d)).pools.length === 0);
  assertEquals((await d.status()).releases.length, 1);

  d.configure({ ...workers()(d), ...CLOCK });
  await d.ok("reload");
  assertEquals((await d.get()).text, "ok");
  assertEquals((await pidsOf(d)).length, 2);
});

daemonTest("workers come by a reload where there were none, in the live release", {
  config: { processes: { worker: { command: program("worker.sh") } } },
  files: WORKER,
}, async (d) => {
  const both = () => ({
    ...workers()(d),
    processes: { worker: { command: program("worker.sh") } },
  });
  d.configure(both());
  await d.ok("reload");
  assertEquals((await d.get("/version")).text, "initial");
  await deployWorkers(d, "v1");
  assertEquals((await d.get("/version")).text, "v1");
});

daemonTest("a deploy takes on what changed; one that fails takes on nothing", BASE, async (d) => {
  configure(d, { num_workers: 3 });
  d.write("releases/bad/worker.php", "<?php exit(4);");
  assertEquals((await d.cli("deploy", "--release-path", d.path("releases/bad"))).code, 1);
  assertEquals((await pidsOf(d)).length, 2);
  await deployWorkers(d, "v1", "--wait");
  assertEquals((await pidsOf(d)).length, 3);
  assertEquals(changes(await d.ok("plan", "--json")), []);
});

/** Something that keeps a configuration without workers from being empty. */
const CLOCK = { service: { clock: { command: "sleep 1000" } } };
