/** The end of a daemon: nothing lost, nothing left, and bounded whoever is in a hurry. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { sleep } from "../../../lib/core/clock.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { endLeftovers, hurry, stopping, stopProcesses } from "../../../lib/daemon/stop.ts";
import { turn } from "../../kit/manual_clock.ts";
import { processOf, proxiedOf } from "../release/configs.ts";
import { Daemon } from "./kit.ts";

const ALL = [
  processOf("beacon", "service"),
  processOf("queue", "service", { deploy_strategy: "handoff", port: { from: 9_000, to: 9_009 } }),
  processOf("worker"),
  proxiedOf("web"),
  processOf("cron", "singleton"),
];

/** Ends as the daemon does, without its sockets. */
async function end(daemon: Daemon): Promise<string[]> {
  daemon.context.state = "stopping";
  daemon.context.turn.close(stopping());
  const wrong = await stopProcesses(daemon.context);
  await endLeftovers(daemon.context);
  return wrong;
}

/** Everything that must be so after the end. */
function assertOver({ stage }: Daemon): void {
  assertEquals([stage.running, stage.reserved, stage.booked], [[], [], []]);
  assertEquals(stage.states.filter((state) => !state.endsWith(" stopped")), []);
}

Deno.test("everything stops, what others depend on last; the live release stays remembered", async () => {
  using daemon = new Daemon(ALL);
  const { stage } = daemon;
  await daemon.deploy("v1");
  assertEquals(await stage.pass(end(daemon)), []);
  assertEquals(stage.world.events("process_stopped").map((one) => one.process), [
    "worker",
    "web",
    "cron",
    "queue",
    "beacon",
  ]);
  assertOver(daemon);
  assertEquals(stage.history.read().live?.release_id, "v1");
  assertEquals(stage.intake.built.map((one) => one.dropped), [true]);
});

Deno.test("what drains is cut, and nothing is written after the end", async () => {
  using daemon = new Daemon(ALL);
  const { stage } = daemon;
  await daemon.deploy("v1");
  let cut = false;
  stage.intake.gate.lease()!.onCut = () => cut = true;
  await daemon.deploy("v2");
  await stage.pass(end(daemon));
  assertEquals(cut, true);
  assertOver(daemon);
  assertEquals(stage.intake.built.map((one) => one.dropped), [true, true]);
  const { writes } = stage.history;
  await stage.clock.advance(600_000);
  assertEquals(stage.history.writes, writes);
  assertEquals(stage.history.read().live?.release_id, "v2");
});

Deno.test("a release on its way out is waited for to its very end", async () => {
  using daemon = new Daemon(ALL);
  const { stage } = daemon;
  await daemon.deploy("v1");
  stage.intake.gate.lease();
  await daemon.deploy("v2");
  const dropped: string[] = [];
  stage.intake.drop = async ({ release }) => {
    await sleep(stage.clock, release === "v1" ? 5_000 : 0);
    dropped.push(release);
  };
  await stage.pass(end(daemon));
  assertEquals(dropped.sort(), ["v1", "v2"]);
});

Deno.test("a deploy under way is taken back first", async () => {
  using daemon = new Daemon(ALL);
  const { stage } = daemon;
  await daemon.deploy("v1");
  const deploying = daemon.deploy("v2");
  const refused = assertRejects(() => deploying, Failure, "the daemon is shutting down");
  await turn();
  assertEquals(stage.running.length, 8);
  await stage.pass(end(daemon));
  await refused;
  assertOver(daemon);
  assertEquals(stage.history.read().live?.release_id, "v1");
});

Deno.test("an end between the swap and the singletons leaves none of them behind", async () => {
  using daemon = new Daemon(ALL);
  const { stage } = daemon;
  await daemon.deploy("v1");
  stage.program("cron").deaf.add("SIGTERM");
  const deploying = daemon.deploy("v2");
  await stage.clock.advance(500);
  assertEquals(stage.fleet.active?.release_id, "v2");
  await stage.pass(end(daemon));
  assertEquals((await deploying).status, "partial");
  assertOver(daemon);
});

Deno.test("what does not listen is killed when its time is over", async () => {
  using daemon = new Daemon([processOf("worker", "companion", { graceful_stop: 30_000 })]);
  const { stage } = daemon;
  await daemon.deploy("v1");
  stage.program("worker").deaf.add("SIGTERM");
  const at = stage.clock.now();
  await stage.pass(end(daemon));
  assertEquals(stage.clock.now() - at, 30_000);
  assertOver(daemon);
});

Deno.test("a hurry shortens what is being stopped, and what is stopped after it", async () => {
  const forever = { graceful_stop: "indefinite" as const };
  using daemon = new Daemon([
    processOf("worker", "companion", forever),
    processOf("beacon", "service", forever),
  ]);
  const { stage } = daemon;
  await daemon.deploy("v1");
  for (const child of stage.alive) child.deaf.add("SIGTERM");
  const ending = end(daemon);
  await stage.clock.advance(1_000_000);
  assertEquals(stage.running.length, 2);
  hurry(daemon.context, 5_000);
  await stage.clock.advance(5_000);
  await stage.pass(ending);
  assertOver(daemon);
  assertEquals(stage.clock.now(), 1_005_100);
  assert(daemon.stage.intake.wasCut);
});

Deno.test("a hurry gives a drain no more time than it had", async () => {
  using daemon = new Daemon(ALL);
  const { stage } = daemon;
  await daemon.deploy("v1");
  stage.intake.gate.lease();
  await daemon.deploy("v2");
  const [draining] = stage.intake.gate.draining;
  const { deadline } = draining;
  hurry(daemon.context, 10_000_000);
  assertEquals(draining.deadline, deadline);
  hurry(daemon.context, 0);
  await stage.clock.advance(0);
});

Deno.test("a hurry also ends a drain", async () => {
  using daemon = new Daemon(ALL);
  const { stage } = daemon;
  await daemon.deploy("v1");
  stage.intake.gate.lease();
  await daemon.deploy("v2");
  hurry(daemon.context, 0);
  await stage.clock.advance(0);
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
});

Deno.test("the root's end kills even what is in nobody's list yet", async () => {
  using daemon = new Daemon([
    processOf("worker", "companion", { graceful_stop: "indefinite", replicas: 2 }),
  ]);
  const { stage } = daemon;
  await daemon.deploy("v1");
  const restarting = daemon.pass(() => daemon.operations.restart({}));
  const refused = assertRejects(() => restarting, Failure);
  await stage.clock.advance(50);
  for (const child of stage.alive) child.deaf.add("SIGTERM");
  const ending = end(daemon);
  await stage.clock.advance(1_000_000);
  assertEquals(stage.running.length, 3);
  hurry(daemon.context, 0);
  stage.world.end.abort(stopping());
  await stage.pass(ending);
  await refused;
  assertOver(daemon);
});

Deno.test("what SIGKILL does not end is named", async () => {
  using daemon = new Daemon(ALL);
  const { stage } = daemon;
  await daemon.deploy("v1");
  const web = stage.program("web");
  web.deaf.add("SIGTERM");
  web.immortal.add(web.pid);
  const wrong = await stage.pass(end(daemon));
  assertEquals(wrong.length, 1);
  assert(wrong[0].includes(`pid ${web.pid}`), wrong[0]);
  assertEquals(stage.booked, [web.pid]);
});

Deno.test("orphans go with the daemon that found them, escaped processes too", async () => {
  using daemon = new Daemon(ALL);
  await daemon.deploy("v1");
  const next = new Daemon(ALL, daemon);
  const row = { pid: 999, ppid: 1, pgrp: 999, session: 999, state: "S", start: "5" };
  next.strays = [{ ...row, command: "escaped", rss_bytes: 0, cpu_ticks: 0 }];
  await next.stage.pass(end(next));
  assertOver(next);
  assertEquals(next.killed, [999]);
  assertEquals(next.stage.world.events("process_leftovers_killed").at(-1), {
    process: "(escaped)",
    pids: [999],
  });
});
