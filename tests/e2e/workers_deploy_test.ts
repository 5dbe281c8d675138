/**
 * Deploys and rollbacks of worker pools while clients are at work: no request fails, and what takes
 * long is finished by the release that began it.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { daemonTest } from "../kit/daemon.ts";
import { deployPath, rollback } from "../kit/deploying.ts";
import { Fifo } from "../kit/gate.ts";
import { startLoad } from "../kit/load.ts";
import { freePort } from "../kit/ports.ts";
import { webProcess } from "../kit/programs.ts";
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

const FILE = `Content-Disposition: form-data; name="f"; filename="a"\r\n\r\n${"u".repeat(50_000)}`;
const UPLOAD = {
  method: "POST",
  headers: { "Content-Type": "multipart/form-data; boundary=x" },
  body: `--x\r\n${FILE}\r\n--x--\r\n`,
};

/** Of `http` where the proxy has the usual one. */
const httpPort = freePort();

/** Deploys, and as many rollbacks. */
const ROUNDS = 4;

daemonTest("deploys and rollbacks under load fail no request", {
  config: workers({ num_workers: 3 }),
  files: WORKER,
}, async (d) => {
  const loads = [
    startLoad({ port: d.port, connections: 3, path: "/version", every: 1 }),
    startLoad({ port: d.port, connections: 2, path: "/version", mode: "close", every: 1 }),
    startLoad({ port: d.port, connections: 1, path: "/stream?n=10", every: 1 }),
    startLoad({ port: d.port, connections: 2, path: "/upload", every: 3, ...UPLOAD }),
  ];
  await Promise.all(loads.map((load) => load.answers(2)));
  const first = await pidsOf(d);
  for (let round = 1; round <= ROUNDS; round++) {
    const name = `v${round}`;
    await deployPath(d, workerRelease(d, name), { release_id: name }).live();
    await loads[0].answers(1, name);
    if (round === 1) continue;
    const back = await rollback(d).live();
    await loads[0].answers(1, back.active_release_id);
  }
  await Promise.all(loads.map((load) => load.answers(2)));
  for (const load of loads) {
    const report = await load.stop();
    assertEquals(report.failed, 0, report.text);
  }
  assertEquals(await told(d, "request_failed"), []);
  const { active_release_id } = await d.statusUntil(
    "only one release to be left",
    (status) => status.releases.filter((one) => one.state !== "stopped").length === 1 && status,
  );
  assert(!first.some(runs), "the first workers are gone");
  const all = (await workersOf(d)).workers;
  assertEquals(all.map(({ release_id }) => release_id), Array(3).fill(active_release_id));
});

daemonTest("what is held over the swap ends on the old pool; then its workers go", {
  config: workers(),
  files: WORKER,
}, async (d) => {
  await deployWorkers(d, "v1");
  const old = await pidsOf(d, "v1");
  await using held = await hold(d);
  const v2 = workerRelease(d, "v2");
  const deploying = deployPath(d, v2, { release_id: "v2", wait: true });
  await deploying.step("draining");
  assertEquals((await d.get("/version")).text, "v2");

  const seen = await workersOf(d);
  assertEquals(
    seen.pools.map(({ release_id, state }) => [release_id, state]),
    [["v1", "draining"], ["v2", "ready"]],
  );
  const busy = seen.workers.find(({ pid }) => pid === held.pid)!;
  assertEquals([busy.release_id, busy.doing], ["v1", "GET /wait"]);
  const draining = (await d.status()).releases.find((one) => one.release_id === "v1")!;
  assertEquals([draining.state, draining.leases], ["draining", 1]);
  // Nobody else takes work any more, but nobody is taken away either.
  assert(old.every(runs));

  assertEquals(await held.finish(), { status: 200, text: "waited" });
  const result = await deploying.live();
  assertEquals([result.status, result.drained], ["success", true]);
  assert(!old.some(runs), "after `wait` the old workers are gone");
  assertEquals((await told(d, "release_drained")).at(-1).cut, 0);
});

daemonTest("a drain that takes too long is cut: 503, and the old workers go", {
  config: workers({ destroy_timeout: "100ms" }, { http: { drain_timeout: "200ms" } }),
  files: WORKER,
}, async (d) => {
  await deployWorkers(d, "v1");
  await using held = await hold(d);
  await using stream = await streamed(d.port, d.path("stream"));
  await deployWorkers(d, "v2", "--wait");
  const { status, text } = await held.answer;
  assertEquals(status, 503);
  assertMatch(text, /release that was answering is being stopped/);
  // In the middle of an answer there is no other way than to break it off.
  assertEquals(await stream.ended, "broken");
  assert(!runs(held.pid));
  assertEquals((await told(d, "release_drained")).at(-1).cut, 2);
  assertEquals((await d.get("/version")).text, "v2");
});

daemonTest("a proxied program and workers are swapped by one deploy", {
  config: (place) => ({
    ...workers({}, { http: { address: `127.0.0.1:${httpPort}` } })(place),
    proxy: {},
    processes: { web: webProcess() },
  }),
  files: WORKER,
}, async (d) => {
  const swap = async (name: string) => {
    workerRelease(d, name);
    await d.deploy(name);
  };
  const version = async () => await (await fetch(`http://127.0.0.1:${httpPort}/version`)).text();
  await swap("v1");
  assertEquals([(await d.get()).text.trim(), await version()], ["v1", "v1"]);
  const loads = [
    startLoad({ port: d.port, connections: 2, every: 1 }),
    startLoad({ port: httpPort, path: "/version", connections: 2, every: 1 }),
  ];
  await swap("v2");
  await Promise.all(loads.map((load) => load.answers(5, "v2")));
  for (const load of loads) {
    const report = await load.stop();
    assertEquals(report.failed, 0, report.text);
    assertEquals(report.order, ["v1", "v2"]);
  }
  // Neither goes when the other cannot come.
  d.write("releases/v3/worker.php", "<?php exit(3);");
  const path = d.release("v3");
  assertEquals((await d.cli("deploy", "--release-path", path)).code, 1);
  assertEquals([(await d.get()).text.trim(), await version()], ["v2", "v2"]);
  await until(
    "nothing of v3 to be left",
    async () => (await d.status()).releases.every(({ release_id }) => release_id !== "v3"),
  );
  await d.ok("rollback");
  assertEquals([(await d.get()).text.trim(), await version()], ["v1", "v1"]);
});

/** A stream that stands after its first chunk. */
async function streamed(port: number, path: string) {
  const gate = new Fifo(path);
  const response = await fetch(`http://127.0.0.1:${port}/stream?n=9&gate=${gate.path}`);
  const reader = response.body!.getReader();
  await reader.read();
  return {
    ended: reader.read().then(() => "whole", () => "broken"),
    [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose](),
  };
}
