/** The way out of a release: in which order its programs stop, and what stop on purpose leaves. */

import { assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { retire, retirementOf } from "../../../lib/release/retire.ts";
import { stopRelease } from "../../../lib/release/stop_release.ts";
import { turn } from "../../kit/manual_clock.ts";
import { configOf, processOf, proxiedOf, proxyOf } from "./configs.ts";
import { nameOf, Stage } from "./stage.ts";

const ALL = [
  processOf("queue", "service", {
    deploy_strategy: "handoff",
    port: { from: 9_000, to: 9_009 },
  }),
  processOf("early", "companion", { non_blocking_drain: true }),
  processOf("worker"),
  proxiedOf("web"),
  processOf("beacon", "service"),
  processOf("cron", "singleton"),
];

/** Ids of the programs of v1 in the order in which they ended. */
function ends(stage: Stage): string[] {
  return stage.world.events("process_stopped").filter((one) => one.release === "v1")
    .map((one) => one.process);
}

Deno.test("early ones at once, the rest when nothing is held, handoff services last", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  const lease = stage.intake.gate.lease()!;
  const other = stage.other.gate.lease()!;
  const { retired } = await stage.deploy("v2");
  assertEquals(ends(stage), ["early", "cron"]);
  lease.release();
  await turn();
  assertEquals(stage.states[0], "v1 draining");
  stage.program("worker", "v1").deaf.add("SIGTERM");
  other.release();
  await turn();
  assertEquals([ends(stage), stage.states[0]], [["early", "cron", "web"], "v1 stopping"]);
  await stage.pass(retired);
  assertEquals(ends(stage), ["early", "cron", "web", "worker", "queue"]);
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
  assertEquals(stage.intake.built[0].dropped, true);
  assertEquals(
    stage.world.events("release_stopped").map(({ release, errors }) => [release, errors]),
    [
      ["v1", []],
    ],
  );
});

Deno.test("what is held is cut when the budget is used up", async () => {
  using stage = new Stage(configOf(ALL, { proxy: proxyOf({ drain_timeout: 5_000 }) }));
  await stage.deploy("v1");
  let cut = 0;
  for (let i = 0; i < 3; i++) stage.intake.gate.lease()!.onCut = () => cut++;
  const at = stage.clock.now();
  const { retired } = await stage.deploy("v2");
  assertEquals(stage.fleet.find("v1").status().drain_left_ms, 4_900);
  assertEquals(stage.fleet.find("v1").status().leases, 3);
  await stage.pass(retired);
  assertEquals([cut, stage.world.events("release_drained")[0].cut], [3, 3]);
  assertEquals(stage.clock.now() - at, 5_100);
});

Deno.test("what drains is not restarted, and the live one is", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.deploy("v1");
  const lease = stage.intake.gate.lease()!;
  const { retired } = await stage.deploy("v2");
  for (const child of stage.alive) child.exit(1);
  await stage.clock.advance(10_000);
  assertEquals(stage.running, ["worker of v2"]);
  lease.release();
  await stage.pass(retired);
  assertEquals(stage.running, ["worker of v2"]);
});

Deno.test("newer stop settings reach what is on its way out", async () => {
  using stage = new Stage([processOf("worker", "companion", { graceful_stop: 60_000 })]);
  await stage.deploy("v1");
  stage.program("worker").deaf.add("SIGTERM");
  const at = stage.clock.now();
  const config = configOf([processOf("worker", "companion", { graceful_stop: 2_000 })]);
  await stage.settled("v2", { config });
  assertEquals(stage.clock.now() - at, 100 + 2_000);
});

Deno.test("whoever asks twice joins the same retirement", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  const release = stage.fleet.active!;
  const { retired } = await stage.deploy("v2");
  assertEquals(retire(stage.fleet, release, []), retirementOf(release));
  await stage.pass(retired);
  assertEquals(stage.world.events("release_stopped").length, 1);
});

Deno.test("a generation that cannot be dropped is told, and the release is stopped", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  stage.intake.drop = () => Promise.reject(new Error("stuck"));
  await stage.settled("v2");
  assertEquals(stage.states[0], "v1 stopped");
  assertEquals(stage.other.built[0].dropped, true);
  assertEquals(stage.world.events("release_stopped")[0].errors, ["stuck"]);
});

Deno.test("what SIGKILL does not end keeps its port and its place in the book until it is gone", async () => {
  using stage = new Stage([proxiedOf("web")]);
  await stage.deploy("v1");
  const web = stage.program("web");
  web.deaf.add("SIGTERM");
  web.immortal.add(web.pid);
  await stage.settled("v2");
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
  assertEquals(
    stage.world.events("release_stopped")[0].errors[0].includes(`pid ${web.pid}`),
    true,
  );
  assertEquals([stage.reserved, stage.booked.includes(web.pid)], [[20_000, 20_001], true]);
  web.immortal.clear();
  web.signal("SIGKILL");
  await turn();
  assertEquals([stage.reserved, stage.booked.includes(web.pid)], [[20_001], false]);
});

Deno.test("a port given back belongs to whoever has it next, whatever is stopped again", async () => {
  using stage = new Stage([proxiedOf("web", { port: { from: 20_000, to: 20_001 } })]);
  await stage.settled("v1");
  const [old] = stage.fleet.active!.slots;
  await stage.settled("v2");
  await stage.settled("v3");
  assertEquals(stage.reserved, [20_000]);
  await stage.pass(old.stop());
  assertEquals(stage.reserved, [20_000]);
});

Deno.test("stop: nothing is live at once, then drained and stopped; the daemon's own stay", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const lease = stage.intake.gate.lease()!;
  const stopped = stopRelease(stage.fleet, undefined, false);
  assertEquals([stage.intake.gate.live, stage.fleet.active], [undefined, undefined]);
  await turn();
  assertEquals(stage.states, ["v1 draining"]);
  assertEquals(stage.history.read().live, null);
  lease.release();
  await stage.pass(stopped);
  assertEquals(stage.states, ["v1 stopped"]);
  assertEquals(stage.alive.map(nameOf), ["beacon of v1", "cron of v1"]);
});

Deno.test("stop now: what is in flight is cut", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  let cut = false;
  stage.intake.gate.lease()!.onCut = () => cut = true;
  const at = stage.clock.now();
  await stage.pass(stopRelease(stage.fleet, "v1", true));
  assertEquals([cut, stage.clock.now() - at], [true, 0]);
});

Deno.test("stop of what drains already waits for it, or cuts it short", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  stage.intake.gate.lease();
  await stage.deploy("v2");
  let over = false;
  const waiting = stopRelease(stage.fleet, "v1", false).then(() => over = true);
  await turn();
  assertEquals(over, false);
  await stage.pass(stopRelease(stage.fleet, "v1", true));
  await waiting;
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
});

Deno.test("stop of what is stopped does nothing; of what is not there, it says so", async () => {
  using stage = new Stage(ALL);
  await assertRejects(
    () => stopRelease(stage.fleet, undefined, false),
    Failure,
    "there is no live release to stop",
  );
  await stage.settled("v1");
  await stage.settled("v2");
  await stopRelease(stage.fleet, "v1", false);
  await assertRejects(() => stopRelease(stage.fleet, "v9", false), Failure, "no release");
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
});

Deno.test("what was stopped is not what a later daemon brings back", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  await stage.pass(stopRelease(stage.fleet, undefined, false));
  const next = new Stage([processOf("worker")], stage);
  assertEquals([next.fleet.wanted, next.states], [undefined, ["v1 stopped"]]);
});
