/** Restart and scale: new before old where two may run, old before new where not. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { restart, type RestartChoice, scale } from "../../../lib/release/restart.ts";
import { turn } from "../../kit/manual_clock.ts";
import { configOf, processOf, proxiedOf } from "./configs.ts";
import { Stage } from "./stage.ts";

const ALL = [
  processOf("beacon", "service"),
  processOf("worker", "companion", { replicas: 2 }),
  processOf("mailer"),
  proxiedOf("web"),
  processOf("fixed", "proxied", { port: { from: 9_000, to: 9_000 } }),
  processOf("cron", "singleton"),
];

function restarted(stage: Stage, choice: RestartChoice = {}): Promise<string[]> {
  return stage.pass(restart(stage.fleet, choice, stage.end.signal));
}

function scaled(stage: Stage, name: string, count: number): Promise<number> {
  return stage.pass(scale(stage.fleet, name, count, stage.end.signal));
}

const instances = (stage: Stage) => stage.fleet.active!.slots.map((slot) => slot.instance).sort();

/** For each program that starts from now on: how many of its id live beside it. */
function watch(stage: Stage): string[] {
  const seen: string[] = [];
  stage.system.born = (child) => {
    const id = child.spec.env.SUPERVISOR_PROCESS_ID;
    const beside = stage.alive.filter((one) =>
      one !== child && one.spec.env.SUPERVISOR_PROCESS_ID === id
    );
    seen.push(`${id} beside ${beside.length}`);
  };
  return seen;
}

Deno.test("everything, one at a time, each in the way that fits it", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const before = stage.alive.map((child) => child.pid);
  const seen = watch(stage);
  assertEquals(await restarted(stage), [
    "beacon",
    "cron",
    "worker#0",
    "worker#1",
    "mailer",
    "web",
    "fixed",
  ]);
  assertEquals(seen, [
    "beacon beside 0",
    "cron beside 0",
    "worker beside 2",
    "worker beside 2",
    "mailer beside 0",
    "web beside 1",
    "fixed beside 0",
  ]);
  assertEquals(stage.alive.length, 7);
  assertEquals(stage.alive.filter((child) => before.includes(child.pid)), []);
  assertEquals(stage.booked, stage.alive.map((child) => child.pid).sort((a, b) => a - b));
  assertEquals(stage.reserved, [9_000, 20_001]);
});

Deno.test("one process, all its copies, one copy, one policy", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  assertEquals(await restarted(stage, { process: "worker" }), ["worker#0", "worker#1"]);
  assertEquals(await restarted(stage, { process: "worker#1" }), ["worker#1"]);
  assertEquals(await restarted(stage, { policy: "singleton" }), ["cron"]);
});

Deno.test("what is not there is named with what is", async () => {
  using stage = new Stage([processOf("worker")]);
  const text = async (choice: RestartChoice) =>
    (await assertRejects(() => restarted(stage, choice), Failure)).text;
  assertEquals(
    await text({ process: "x" }),
    'there is no process "x" to restart\nnothing runs: deploy a release first',
  );
  await stage.settled("v1");
  assertEquals(
    await text({ process: "x" }),
    'there is no process "x" to restart\nrunning processes: worker',
  );
  assertEquals(
    await text({ policy: "singleton" }),
    "there is no singleton process to restart\nrunning processes: worker",
  );
});

Deno.test("the new copy takes requests before the old one lets go of its own", async () => {
  using stage = new Stage([proxiedOf("web")]);
  await stage.settled("v1");
  const release = stage.fleet.active!;
  const [upstream] = release.upstreams.list();
  const lease = upstream.lease()!;
  let over = false;
  const done = restart(stage.fleet, {}, stage.end.signal).then(() => over = true);
  await stage.clock.advance(100);
  assertEquals(release.upstreams.list().map((one) => [one.port, one.ready]), [[20_001, true]]);
  assertEquals([stage.running.length, over], [2, false]);
  lease.release();
  await stage.pass(done);
  assertEquals([stage.running, stage.reserved], [["web of v1"], [20_001]]);
});

Deno.test("what the old copy does not finish within the drain budget is cut", async () => {
  using stage = new Stage([proxiedOf("web")]);
  await stage.settled("v1");
  const lease = stage.fleet.active!.upstreams.list()[0].lease()!;
  let cut = 0;
  lease.onCut = () => cut++;
  await restarted(stage);
  assertEquals(cut, 1);
  assertEquals(stage.clock.now(), 100 + 100 + stage.fleet.config.proxy!.drain_timeout);
});

Deno.test("a new copy that does not come up leaves the old one as it was", async () => {
  using stage = new Stage([proxiedOf("web"), processOf("worker", "companion", { replicas: 2 })]);
  await stage.settled("v1");
  const before = stage.alive.map((child) => child.pid);
  stage.system.born = (child) => stage.clock.timer(20, () => child.exit(1));
  await assertRejects(() => restarted(stage, { process: "web" }), Failure, '"web" did not start');
  await assertRejects(() => restarted(stage, { process: "worker" }), Failure);
  assertEquals(stage.alive.map((child) => child.pid), before);
  assertEquals([stage.reserved, stage.booked], [[20_000], before]);
  assertEquals(stage.fleet.active!.upstreams.list()[0].ready, true);
});

Deno.test("a program that ends at once is no successful restart", async () => {
  using stage = new Stage([processOf("cron", "singleton")]);
  await stage.settled("v1");
  stage.system.born = (child) => stage.clock.timer(20, () => child.exit(1));
  await assertRejects(() => restarted(stage), Failure, '"cron" did not start');
});

Deno.test("what gave up is revived", async () => {
  const once = { delay: 1_000, max_restarts: 0, window: 60_000, backoff_factor: 2, max_delay: 0 };
  using stage = new Stage([
    proxiedOf("web", { restart: once }),
    processOf("cron", "singleton", {
      restart: once,
    }),
  ]);
  await stage.settled("v1");
  for (const child of stage.alive) child.exit(1);
  await stage.clock.advance(60_000);
  assertEquals(stage.running, []);
  assertEquals(stage.fleet.active!.upstreams.list()[0].ready, false);
  await restarted(stage);
  assertEquals(stage.running, ["cron of v1", "web of v1"]);
  assertEquals(stage.fleet.active!.upstreams.list()[0].ready, true);
});

Deno.test("the daemon's end ends it between two, and a wait within one", async () => {
  using stage = new Stage([processOf("worker", "companion", { replicas: 2 })]);
  await stage.settled("v1");
  const done = restart(stage.fleet, {}, stage.end.signal);
  await stage.clock.advance(50);
  stage.end.abort(new Failure("the end"));
  await assertRejects(() => stage.pass(done), Failure, "the end");
  assertEquals(stage.running.length, 2);
});

Deno.test("a copy started after a reload has the settings of the reload", async () => {
  using stage = new Stage([proxiedOf("web", { graceful_stop: 1_000 })]);
  await stage.settled("v1");
  stage.fleet.active!.update(configOf([proxiedOf("web", { graceful_stop: 7_777 })]));
  await restarted(stage);
  const slot = stage.fleet.active!.slots[0];
  assertEquals(slot.process.spec.live.graceful_stop, 7_777);
});

Deno.test("scale up and down: new copies proven first, surplus ones drained and gone", async () => {
  using stage = new Stage([proxiedOf("web")]);
  await stage.settled("v1");
  assertEquals(await scaled(stage, "web", 3), 1);
  assertEquals(instances(stage), ["web", "web#1", "web#2"]);
  assertEquals(stage.fleet.active!.upstreams.list().map((one) => one.ready), [true, true, true]);
  assertEquals(stage.reserved, [20_000, 20_001, 20_002]);
  assertEquals(stage.history.read().scale, { web: 3 });
  assertEquals(await scaled(stage, "web", 1), 3);
  assertEquals(instances(stage), ["web"]);
  assertEquals([stage.running, stage.reserved], [["web of v1"], [20_000]]);
  assertEquals(stage.history.read().scale, {});
});

Deno.test("to none and back", async () => {
  using stage = new Stage([proxiedOf("web"), processOf("worker")]);
  await stage.settled("v1");
  await scaled(stage, "web", 0);
  await scaled(stage, "worker", 0);
  assertEquals([stage.running, stage.fleet.active!.hopeful], [[], false]);
  await scaled(stage, "web", 1);
  assertEquals(stage.fleet.active!.upstreams.pick()?.ready, true);
});

Deno.test("the next deploy runs as many", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  await scaled(stage, "worker", 3);
  await stage.settled("v2");
  assertEquals(instances(stage), ["worker#0", "worker#1", "worker#2"]);
});

Deno.test("scaled before anything runs, it is so with the first deploy", async () => {
  using stage = new Stage([processOf("worker")]);
  assertEquals(await scaled(stage, "worker", 2), 1);
  await stage.settled("v1");
  assertEquals(stage.running.length, 2);
});

Deno.test("a count configured anew wins over what was set by hand", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  await scaled(stage, "worker", 3);
  const config = configOf([processOf("worker", "companion", { replicas: 2 })]);
  await stage.settled("v1", { kind: "reload", config });
  assertEquals(stage.running.length, 2);
});

Deno.test("what there is only one of cannot be scaled", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const text = async (name: string, count = 2) =>
    (await assertRejects(() => scaled(stage, name, count), Failure)).message;
  assertEquals(await text("cron"), '"cron" is a singleton: there is exactly one of it');
  assertEquals(await text("beacon"), '"beacon" is a service: there is exactly one of it');
  assertEquals(
    await text("fixed"),
    '"fixed" cannot have 2 copies: its port range has 1 ports',
  );
  assertEquals(
    await text("web", 101),
    '"web" cannot have 101 copies: its port range has 100 ports',
  );
  assertEquals(await text("nope"), 'there is no process "nope" to scale');
  assertEquals(stage.running.length, 7);
});

Deno.test("copies that came up stay when the next one does not", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  let born = 0;
  stage.system.born = (child) => {
    if (++born === 2) stage.clock.timer(20, () => child.exit(1));
  };
  await assertRejects(() => scaled(stage, "worker", 4), Failure);
  assertEquals(instances(stage), ["worker", "worker#1"]);
  assertEquals(stage.fleet.count(stage.fleet.config.processes[0]), 1);
});

Deno.test("a count that cannot be remembered is told", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  stage.history.broken = true;
  await assertRejects(() => scaled(stage, "worker", 2), Failure, "no space left");
  assertEquals(stage.running.length, 2);
});

Deno.test("whoever holds arrivals back hears of every copy that comes or goes", async () => {
  using stage = new Stage([proxiedOf("web")]);
  await stage.settled("v1");
  const release = stage.fleet.active!;
  const told: boolean[] = [];
  release.onReadiness = () => told.push(release.upstreams.list().some((one) => one.ready));
  stage.program("web").exit(1);
  await turn();
  assertEquals(told.at(-1), false);
  // Long before the program itself would be tried again.
  const done = restart(stage.fleet, {}, stage.end.signal);
  await stage.clock.advance(100);
  assertEquals(told.at(-1), true);
  await stage.pass(done);
  await scaled(stage, "web", 0);
  assertEquals(told.at(-1), false);
  assert(told.length >= 4);
});
