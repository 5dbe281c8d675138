/** Deploys on a fake system: what happens in which order, and what goes wrong after the swap. */

import { assert, assertEquals } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { configOf, processOf, proxiedOf } from "./configs.ts";
import { ALL, breaks, strangersOn } from "./deploys.ts";
import { nameOf, Stage } from "./stage.ts";

Deno.test("a first deploy starts everything and goes live", async () => {
  using stage = new Stage(ALL);
  const { result } = await stage.deploy("v1");
  assertEquals(stage.running, [
    "beacon of v1",
    "worker of v1",
    "web of v1",
    "web of v1",
    "cron of v1",
  ]);
  assertEquals(stage.intake.gate.live?.release, "v1");
  assertEquals(stage.other.gate.live?.release, "v1");
  assertEquals([result.status, result.previous_release_id, result.errors], ["success", null, []]);
  assertEquals(stage.booked, stage.alive.map((child) => child.pid));
  assertEquals(stage.reserved, [9_000, 9_100, 20_000, 20_001, 40_000]);
});

Deno.test("the next one takes over, the old one drains and stops, services stay", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  const lease = stage.intake.gate.lease()!;
  const { result, retired } = await stage.deploy("v2");
  assertEquals(result.previous_release_id, "v1");
  assertEquals(stage.states, ["v1 draining", "v2 active"]);
  assert(lease.draining);
  lease.release();
  await stage.pass(retired);
  assertEquals(stage.running, [
    "beacon of v1",
    "worker of v2",
    "web of v2",
    "web of v2",
    "cron of v2",
  ]);
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
  assertEquals(stage.intake.built.map((one) => one.dropped), [true, false]);
  assertEquals(stage.booked, stage.alive.map((child) => child.pid));
  assertEquals(stage.reserved, [9_000, 9_100, 20_002, 20_003, 40_001]);
});

Deno.test("the deploy is saved before the singletons are replaced", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  stage.program("cron").deaf.add("SIGTERM");
  const deployed = stage.order("v2");
  await stage.clock.advance(100);
  assertEquals(stage.fleet.active?.release_id, "v2");
  assertEquals(stage.running.includes("cron of v1"), true);
  assertEquals(stage.history.read().live?.release_id, "v2");
  await stage.pass(deployed);
});

Deno.test("everything is told in order", async () => {
  using stage = new Stage([processOf("worker"), proxiedOf("web"), processOf("cron", "singleton")]);
  await stage.settled("v1");
  stage.steps.length = 0;
  await stage.settled("v2");
  assertEquals(stage.steps, [
    `started: release v2 from ${stage.scratch.path("v2")}`,
    "building: starting worker",
    "building: starting web",
    "proving: worker is up (0.1 s)",
    "proving: web is up on port 20001 (0.1 s)",
    "live: v2 is live in 0.1 s",
    "draining: v1 finishes what it holds",
    "singletons: replacing cron",
    "drained: v1 is stopped",
  ]);
});

Deno.test("services are known to all, and all to the services, before anything starts", async () => {
  const ports = (text: string) => ({ command: `run ${text}` });
  const all = "{{ports.a}} {{ports.b}} {{ports.web}} {{ports.cron}}";
  using stage = new Stage([
    processOf("a", "service", { port: { from: 9_000, to: 9_001 }, ...ports(all) }),
    processOf("b", "service", { port: { from: 9_000, to: 9_001 }, ...ports(all) }),
    proxiedOf("web", ports(all)),
    processOf("cron", "singleton", { port: { from: 9_100, to: 9_199 }, ...ports(all) }),
  ]);
  await stage.settled("v1");
  for (const child of stage.alive) {
    assertEquals(child.spec.argv[2], "run 9000 9001 20000 9100", nameOf(child));
    assertEquals(child.spec.env.SUPERVISOR_CRON_PORT, "9100");
  }
  await stage.settled("v2");
  assertEquals(stage.program("web").spec.argv[2], "run 9000 9001 20001 9100");
  assertEquals(stage.program("cron").spec.argv[2], "run 9000 9001 20001 9100");
});

Deno.test("a service that has to start again does so from the release that is live", async () => {
  using stage = new Stage([processOf("beacon", "service"), proxiedOf("web")]);
  await stage.settled("v1");
  await stage.settled("v2");
  const slot = stage.fleet.standing.find("beacon")!;
  assertEquals(slot.snapshot().cwd, stage.scratch.path("v1"));
  stage.program("beacon").exit(1);
  await stage.clock.advance(2_000);
  assertEquals(stage.program("beacon").spec.cwd, stage.scratch.path("v2"));
  assertEquals(stage.program("beacon").spec.env.SUPERVISOR_RELEASE_ID, "v2");
});

Deno.test("the same id while it lives makes another generation beside it", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  const { result } = await stage.deploy("v1");
  assertEquals([result.active_release_id, result.previous_release_id], ["v1~2", "v1"]);
});

Deno.test("what is not configured any more is stopped after the switch", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  await stage.settled("v2", { config: configOf(ALL.filter(({ id }) => id === "web")) });
  assertEquals(stage.running, ["web of v2", "web of v2"]);
  assertEquals(stage.reserved, [20_002, 20_003]);
});

Deno.test("a service that a reload adds is started once", async () => {
  using stage = new Stage([proxiedOf("web")]);
  await stage.settled("v1");
  const config = configOf([proxiedOf("web"), processOf("beacon", "service")]);
  await stage.settled("v1", { kind: "reload", config, replace: new Set(["beacon"]) });
  const beacons = stage.system.programs.filter((child) => nameOf(child).startsWith("beacon"));
  assertEquals(beacons.length, 1);
});

Deno.test("a service that a reload changed is replaced: the old one gone, then the new one", async () => {
  using stage = new Stage([processOf("beacon", "service", { port: { from: 9_000, to: 9_000 } })]);
  await stage.settled("v1");
  const old = stage.program("beacon");
  old.deaf.add("SIGTERM");
  const changed = processOf("beacon", "service", {
    port: { from: 9_000, to: 9_000 },
    command: "run beacon --new",
  });
  const born: boolean[] = [];
  stage.system.born = () => born.push(old.alive);
  const replace = new Set(["beacon"]);
  await stage.settled("v1", { kind: "reload", config: configOf([changed]), replace });
  assertEquals(born, [false]);
  assertEquals(stage.program("beacon").spec.argv[2], "run beacon --new");
  assertEquals(stage.reserved, [9_000]);
});

Deno.test("singletons are replaced in the order of what they depend on", async () => {
  using stage = new Stage([
    processOf("c", "singleton", { depends_on: { a: "started" } }),
    processOf("a", "singleton"),
    processOf("b", "singleton", { depends_on: { c: "started" } }),
  ]);
  await stage.deploy("v1");
  assertEquals(stage.running, ["a of v1", "c of v1", "b of v1"]);
});

// Failures after the swap: the release is live, and says what is wrong.

Deno.test("a singleton that does not start: live with errors, and tried again", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  breaks(stage, "cron", "v2");
  const { result, retired } = await stage.deploy("v2");
  assertEquals(result.status, "partial");
  assertEquals(result.errors, [
    '"cron" does not run: process "cron" did not start: it exited with code 1 after 20ms',
  ]);
  await stage.pass(retired);
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
  assertEquals(stage.running.some((name) => name.startsWith("cron")), false);
  stage.system.born = () => {};
  await stage.clock.advance(60_000);
  assertEquals(stage.program("cron").spec.env.SUPERVISOR_RELEASE_ID, "v2");
});

Deno.test("a stranger on the only port of a singleton does not end its tries", async () => {
  using stage = new Stage(ALL);
  strangersOn(stage, new Set([9_100]));
  const { result } = await stage.deploy("v1");
  assertEquals(result.status, "partial");
  assertEquals(stage.reserved.includes(9_100), true);
  stage.system.born = () => {};
  await stage.clock.advance(60_000);
  assertEquals(stage.program("cron").spec.env.SUPERVISOR_PORT, "9100");
});

Deno.test("a singleton whose predecessor cannot be killed is not started beside it", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const old = stage.program("cron");
  old.deaf.add("SIGTERM");
  old.immortal.add(old.pid);
  const { result } = await stage.deploy("v2");
  assertEquals(result.status, "partial");
  assertEquals(result.errors[0].startsWith('"cron" does not run: "cron" is not replaced'), true);
  assertEquals(stage.running.filter((name) => name.startsWith("cron")), ["cron of v1"]);
  assertEquals(stage.booked.includes(old.pid), true);
});

Deno.test("a history that cannot be written: live with an error that says what that means", async () => {
  using stage = new Stage([processOf("worker")]);
  stage.history.broken = true;
  const { result } = await stage.deploy("v1");
  assertEquals(result.status, "partial");
  assertEquals(result.errors, [
    "cannot write: no space left on device; " +
    "a restart of the daemon would bring back the release before",
  ]);
  assertEquals(stage.intake.gate.live?.release, "v1");
});

Deno.test("the daemon's end after the swap leaves the singletons to it", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const deployed = stage.order("v2");
  stage.intake.onBuild = () => {};
  await stage.clock.advance(99);
  stage.clock.timer(1, () => queueMicrotask(() => stage.end.abort(new Failure("the end"))));
  const { result } = await stage.pass(deployed);
  assertEquals(result.status, "partial");
  assertEquals(result.errors[0].startsWith('"cron" does not run'), true);
});

// What a dead daemon left.

Deno.test("orphans that must not run twice are gone before their successor starts", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const next = new Stage(ALL, stage);
  const orphans = [...next.alive];
  assertEquals(next.ground.orphans.list().length, 5);
  next.system.born = (child) => {
    const id = child.spec.env.SUPERVISOR_PROCESS_ID;
    const twin = orphans.find((one) => one.spec.env.SUPERVISOR_PROCESS_ID === id);
    if (id === "beacon" || id === "cron") assertEquals(twin?.alive, false, id);
  };
  await next.deploy("v1", { kind: "restore" });
  assertEquals(next.ground.orphans.list().map((one) => one.id), ["worker", "web#0", "web#1"]);
  assertEquals(next.fleet.active?.ports.get("web"), 20_002);
});
