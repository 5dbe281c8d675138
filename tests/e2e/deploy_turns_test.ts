/**
 * Deploys among other things that happen: the same id again, two at once, during a shutdown, without
 * a daemon, and waiting for the drain.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { deploy } from "../kit/deploying.ts";
import { Fifo } from "../kit/gate.ts";
import { program, webProcess } from "../kit/programs.ts";

const config = {
  proxy: {},
  processes: { web: webProcess(), worker: { command: program("worker.sh") } },
};

/** A request that the live release answers once the file `flag` exists. */
async function hold(d: Daemon) {
  const answer = d.get(`/wait?flag=${d.path("flag")}`);
  await d.statusUntil("the request to be held", ({ leases }) => leases === 1);
  return { answer, letGo: () => d.write("flag", "") };
}

daemonTest("the same id again is another release as long as the first is alive", {
  config,
}, async (d) => {
  await deploy(d, "v1").live();
  const held = await hold(d);
  const again = await deploy(d, "v1", { version: "v1 again" }).live();
  assertEquals(again.active_release_id, "v1~2");
  const third = await deploy(d, "v1", { version: "v1 once more" }).live();
  assertEquals(third.active_release_id, "v1~3");
  const { releases } = await d.status();
  const states = new Map(releases.map(({ release_id, state }) => [release_id, state]));
  assertEquals(states.get("v1"), "draining");
  assertEquals(states.get("v1~3"), "active");
  assertStringIncludes((await d.ok("status")).stdout, "v1~3");
  assertEquals((await d.get()).text.trim(), "v1 once more");
  held.letGo();
  assertEquals((await held.answer).text.trim(), "v1");
  await d.event("release_stopped", ({ data }) => data.release === "v1");
  assertEquals((await deploy(d, "v1").live()).active_release_id, "v1", "the name is free again");
});

daemonTest("two deploys at once take turns and say so", { config }, async (d) => {
  await using gate = new Fifo(d.path("gate"));
  await deploy(d, "v1").live();
  const second = deploy(d, "v2", { start_gate: gate.path });
  await second.step("building", "starting web");
  const third = d.cli("deploy", "--release-path", d.release("v3"), "--release-id", "v3");
  const { operation, releases } = await d.statusUntil(
    "the third to wait",
    (status) => status.operation?.waiting.length === 1 && status,
  );
  assertEquals(operation!.name, "deploy v2");
  assertEquals(operation!.waiting, ["deploy v3"]);
  assertEquals(releases.map(({ release_id }) => release_id), ["v1", "v2"]);
  gate.release();
  assertEquals((await second.live()).previous_release_id, "v1");
  const { code, stdout, stderr } = await third;
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /waiting for: deploy v2/);
  assertMatch(stdout, /v3 is live .*before: v2/);
  assertEquals((await d.get()).text.trim(), "v3");
  assertEquals((await d.status()).operation, null);
});

daemonTest("a failed deploy does not hold up the next", { config }, async (d) => {
  await using gate = new Fifo(d.path("gate"));
  const first = deploy(d, "v1", { start_gate: gate.path, start_crash: 3 });
  await first.step("building", "starting web");
  const second = deploy(d, "v2");
  await second.step("queued");
  gate.release();
  assertMatch((await first.failure()).error, /exited with code 3/);
  assertEquals((await second.live()).previous_release_id, null);
});

daemonTest("a shutdown ends the deploy that runs and refuses the next", { config }, async (d) => {
  await using gate = new Fifo(d.path("gate"));
  await deploy(d, "v1").live();
  const held = await hold(d);
  const running = deploy(d, "v2", { start_gate: gate.path });
  await running.step("building", "starting web");
  const queued = deploy(d, "v3");
  await queued.step("queued");
  const shutdown = d.post("/v1/shutdown");
  await d.statusUntil("the daemon to stop", ({ state }) => state === "stopping");
  for (const one of [running, queued]) {
    assertMatch((await one.failure()).error, /shutting down/);
  }
  const { code, stderr } = await d.cli("deploy", "--release-path", d.release("v4"));
  assertEquals(code, 1);
  assertMatch(stderr, /error: .*the daemon is shutting down/);
  assertMatch(stderr, /fix: /);
  held.letGo();
  assertEquals(await held.answer, { status: 200, text: "v1\n" }, "what was held is finished");
  const response = await shutdown;
  assertEquals(response.status, 200);
  await response.body?.cancel();
  assertEquals((await d.ended()).code, 0);
  assertEquals(d.leftovers(), []);
});

daemonTest("deploy --wait comes back when the old release is gone", { config }, async (d) => {
  await deploy(d, "v1").live();
  const held = await hold(d);
  const path = d.release("v2");
  const waiting = d.cli("deploy", "--wait", "--release-path", path, "--release-id", "v2");
  await d.statusUntil("v2 to be live", (status) => status.active_release_id === "v2");
  await d.event("deploy_finished", ({ data }) => data.release === "v2");
  held.letGo();
  const { code, stdout, stderr } = await waiting;
  const { releases } = await d.status();
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /v2 is live .*before: v1, drained/);
  assertMatch(stderr, /v1 is stopped/);
  assertEquals(releases.find((one) => one.release_id === "v1")!.state, "stopped");
  assertEquals((await held.answer).text.trim(), "v1");
});

daemonTest("deploy --ensure-daemon starts a daemon once", { config, start: false }, async (d) => {
  const without = await d.cli("deploy", "--release-path", d.release("v1"));
  assertEquals(without.code, 4);
  assertMatch(without.stderr, /no daemon|not running/i);
  assertMatch(without.stderr, /fix: /);
  const deploying = (id: string) =>
    d.ok("deploy", "--ensure-daemon", "--release-path", d.release(id), "--release-id", id);
  const first = await deploying("v1");
  const pid = Number(/started the daemon: pid (\d+)/.exec(first.stderr)?.[1]);
  assertEquals((await d.status()).pid, pid);
  assertEquals((await d.get()).text.trim(), "v1");
  const second = await deploying("v2");
  assert(!second.stderr.includes("started the daemon"));
  assertEquals((await d.status()).pid, pid);
  assertEquals((await d.get()).text.trim(), "v2");
});

daemonTest("--ensure-daemon shows why the daemon cannot start", {
  config: { proxy: { address: "192.0.2.1:80" }, processes: config.processes },
  start: false,
}, async (d) => {
  const { code, stderr } = await d.cli(
    "deploy",
    ...["--ensure-daemon", "--release-path", d.release("v1")],
  );
  assertEquals(code, 1);
  assertMatch(stderr, /cannot listen on 192\.0\.2\.1:80/);
});
