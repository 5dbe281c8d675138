/** The releases of a daemon: names, the way back, retention, what is remembered. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { History } from "../../../lib/release/history.ts";
import { releaseIdFor } from "../../../lib/release/release_id.ts";
import { stopRelease } from "../../../lib/release/stop_release.ts";
import { turn } from "../../kit/manual_clock.ts";
import { configOf, processOf, proxiedOf } from "./configs.ts";
import { Stage } from "./stage.ts";

function kept(keep: number, max_age = 0) {
  return configOf([processOf("worker")], { release_retention: { keep, max_age } });
}

const ids = (stage: Stage) => stage.fleet.releases.map((one) => one.release_id);

Deno.test("an id is free unless something of it still lives", async () => {
  using stage = new Stage([processOf("worker")]);
  const { fleet, intake } = stage;
  assertEquals(fleet.unusedId("v1"), "v1");
  await stage.deploy("v1");
  assertEquals(fleet.unusedId("v1"), "v1~2");
  const lease = intake.gate.lease()!;
  await stage.deploy("v1");
  assertEquals(stage.states, ["v1 draining", "v1~2 active"]);
  assertEquals(fleet.unusedId("v1"), "v1~3");
  assertEquals(fleet.unusedId("v1~2"), "v1~3");
  assertEquals(fleet.unusedId("v1~7"), "v1~7");
  lease.release();
  await stage.clock.advance(0);
  assertEquals(fleet.unusedId("v1"), "v1");
});

Deno.test("a stopped release of the same id makes room, and has its place again if that fails", async () => {
  using stage = new Stage([processOf("worker")]);
  for (const id of ["v1", "v2", "v3"]) await stage.settled(id);
  stage.intake.onBuild = () => Promise.reject(new Failure("no"));
  await stage.deploy("v1").catch(() => {});
  assertEquals(stage.states, ["v1 stopped", "v2 stopped", "v3 active"]);
  await stage.deploy("v9").catch(() => {});
  assertEquals(stage.states, ["v1 stopped", "v2 stopped", "v3 active"]);
  stage.intake.onBuild = () => {};
  await stage.settled("v1");
  assertEquals(stage.states, ["v2 stopped", "v3 stopped", "v1 active"]);
});

Deno.test("a release that is there is found, another one named with those that are", async () => {
  using stage = new Stage([processOf("worker")]);
  assertEquals(
    assertThrows(() => stage.fleet.find("v9"), Failure).text,
    'there is no release "v9"\nnothing was deployed yet',
  );
  await stage.settled("v1");
  await stage.settled("v2");
  assertEquals(stage.fleet.find("v1").state, "stopped");
  assertEquals(
    assertThrows(() => stage.fleet.find("v9"), Failure).text,
    'there is no release "v9"\nknown releases: "v1", "v2"',
  );
});

Deno.test("the way back: before anything, after one, after several, and to and fro", async () => {
  using stage = new Stage([processOf("worker")]);
  const { fleet } = stage;
  const back = (id?: string) => fleet.rollbackTarget(id).release_id;
  assertEquals(assertThrows(() => back(), Failure).fix, "deploy one");
  await stage.settled("v1");
  assertEquals(assertThrows(() => back(), Failure).fix, "deploy another release first");
  assertThrows(() => back("v1"), Failure, 'release "v1" is the live one already');
  await stage.settled("v2");
  await stage.settled("v3");
  assertEquals([back(), back("v1")], ["v2", "v1"]);
  await stage.settled("v2", { kind: "rollback", lineage: "v2" });
  assertEquals(back(), "v3");
  await stage.settled("v3", { kind: "rollback", lineage: "v3" });
  assertEquals(back(), "v2");
  assertThrows(() => back("v9"), Failure, 'there is no release "v9"');
});

Deno.test("the way back leads past the generations that a reload made of the same deploy", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  await stage.settled("v2");
  await stage.settled("v2", { kind: "reload", lineage: "v2" });
  await stage.settled("v2", { kind: "reload", lineage: "v2" });
  assertEquals(stage.fleet.active?.record.lineage, "v2");
  assertEquals(stage.fleet.rollbackTarget(undefined).release_id, "v1");
});

Deno.test("the way back does not depend on the wall clock", async () => {
  using stage = new Stage([processOf("worker")]);
  for (const id of ["v1", "v2", "v3"]) {
    await stage.settled(id);
    stage.clock.jumpWall(-3_600_000);
  }
  assertEquals(stage.fleet.rollbackTarget(undefined).release_id, "v2");
});

Deno.test("after a stop the way back is to what was stopped", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  await stage.settled("v2");
  await stage.pass(stopRelease(stage.fleet, undefined, false));
  assertEquals(stage.fleet.rollbackTarget(undefined).release_id, "v2");
});

Deno.test("a release that never went live is no way back", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  await stage.settled("v2");
  stage.other.onBuild = () => Promise.reject(new Failure("no"));
  await stage.deploy("v3").catch(() => {});
  assertEquals(stage.fleet.rollbackTarget(undefined).release_id, "v1");
});

Deno.test("retention by count keeps what was stopped last", async () => {
  using stage = new Stage(kept(2));
  for (const id of ["v1", "v2", "v3", "v4"]) await stage.settled(id);
  assertEquals(ids(stage), ["v2", "v3", "v4"]);
  assertEquals(stage.world.events("release_forgotten"), [{ release: "v1" }]);
  assertEquals(stage.history.read().releases.map((one) => one.release_id), ["v2", "v3", "v4"]);
});

Deno.test("retention of none leaves the live one alone", async () => {
  using stage = new Stage(kept(0));
  for (const id of ["v1", "v2"]) await stage.settled(id);
  assertEquals(ids(stage), ["v2"]);
  assertEquals(stage.clock.pending, 0);
});

Deno.test("retention by age needs nobody to do anything", async () => {
  using stage = new Stage(kept(10, 60_000));
  await stage.settled("v1");
  await stage.settled("v2");
  await stage.clock.advance(30_000);
  await stage.settled("v3");
  assertEquals(ids(stage), ["v1", "v2", "v3"]);
  await stage.clock.advance(30_000);
  assertEquals(ids(stage), ["v2", "v3"]);
  assertEquals(stage.history.read().releases.map((one) => one.release_id), ["v2", "v3"]);
  await stage.clock.advance(30_000);
  assertEquals(ids(stage), ["v3"]);
  assertEquals(stage.clock.pending, 0);
});

Deno.test("close ends the wait for age", async () => {
  using stage = new Stage(kept(10, 60_000));
  await stage.settled("v1");
  await stage.settled("v2");
  stage.fleet.close();
  assertEquals(stage.clock.pending, 0);
});

Deno.test("a later daemon knows the releases, their order and the counts set by hand", async () => {
  const config = configOf([processOf("worker"), proxiedOf("web")]);
  using stage = new Stage(config);
  for (const id of ["v1", "v2", "v3"]) await stage.settled(id);
  stage.fleet.setCount(config.processes[0], 3);
  await stage.fleet.save();
  const next = new Stage(config, stage);
  assertEquals(next.states, ["v1 stopped", "v2 stopped", "v3 stopped"]);
  assertEquals(next.fleet.wanted, "v3");
  assertEquals(next.fleet.count(config.processes[0]), 3);
  assertEquals(next.fleet.rollbackTarget(undefined).release_id, "v2");
});

Deno.test("the release to bring back outlives every save, and retention", async () => {
  const config = kept(1, 60_000);
  using stage = new Stage(config);
  await stage.settled("v1");
  await stage.settled("v2");
  const next = new Stage(kept(0, 60_000), stage);
  next.fleet.retain();
  await next.fleet.save();
  assertEquals(next.states, ["v2 stopped"]);
  assertEquals(next.history.read().live?.release_id, "v2");
  next.intake.onBuild = () => Promise.reject(new Failure("the database is down"));
  await next.deploy("v2", { kind: "restore" }).catch(() => {});
  await next.fleet.save();
  assertEquals(next.history.read().live?.release_id, "v2");
  next.intake.onBuild = () => {};
  await next.deploy("v2", { kind: "restore", lineage: "v2" });
  assertEquals([next.fleet.wanted, next.fleet.active?.release_id], [undefined, "v2"]);
});

Deno.test("what is to be brought back can be stopped, and is then not brought back", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  const next = new Stage([processOf("worker")], stage);
  await stopRelease(next.fleet, undefined, false);
  assertEquals([next.fleet.wanted, next.history.read().live], [undefined, null]);
  assertEquals(next.history.read().releases.map((one) => one.release_id), ["v1"]);
});

Deno.test("another release that goes live takes the place of the one to bring back", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  const next = new Stage([processOf("worker")], stage);
  await next.settled("v2");
  assertEquals(next.fleet.wanted, undefined);
  assertEquals(next.history.read().live?.release_id, "v2");
  assertEquals(next.fleet.rollbackTarget(undefined).release_id, "v1");
});

Deno.test("a live release that the list lacks is not forgotten", async () => {
  using stage = new Stage([processOf("worker")]);
  await stage.settled("v1");
  const { live } = stage.history.read();
  await new History(stage.history.file, "app").write({ live, releases: [], scale: {} });
  assertEquals(new Stage([processOf("worker")], stage).states, ["v1 stopped"]);
});

Deno.test("a count set by hand lasts until the configured one changes", () => {
  const two = processOf("worker", "companion", { replicas: 2 });
  using stage = new Stage([two]);
  const { fleet } = stage;
  assertEquals(fleet.count(two), 2);
  fleet.setCount(two, 5);
  assertEquals(fleet.count(two), 5);
  assertEquals(fleet.count({ ...two, replicas: 3 }), 3);
  assertEquals(fleet.count({ ...two, policy: "service" }), 2);
  fleet.setCount(two, 2);
  assertEquals(fleet.count({ ...two, replicas: 5 }), 5);
});

Deno.test("counts of processes that are no more are not remembered", async () => {
  using stage = new Stage([processOf("worker")]);
  stage.fleet.setCount(stage.fleet.config.processes[0], 4);
  await stage.settled("v1");
  const next = new Stage([processOf("other")], stage);
  await next.fleet.save();
  assertEquals(next.history.read().scale, {});
});

Deno.test("a history that cannot be written is told, not thrown", async () => {
  using stage = new Stage([processOf("worker")]);
  stage.history.broken = true;
  const failure = await stage.fleet.save();
  assert(failure instanceof Failure);
  assertEquals(stage.world.events("state_write_failed"), [
    { file: stage.history.file, error: "cannot write: no space left on device" },
  ]);
  await turn();
});

Deno.test("a release without a name is called by its revision, else by the time", () => {
  const wall = Date.UTC(2026, 10, 21, 1, 48, 30, 123);
  assertEquals(releaseIdFor("v1.2.3-4-gabc", wall), "v1.2.3-4-gabc");
  assertEquals(releaseIdFor("feature/x y", wall), "feature-x-y");
  assertEquals(releaseIdFor("../../etc", wall), "etc");
  assertEquals(releaseIdFor("\u001b[31m", wall), "31m");
  assertEquals(releaseIdFor("///", wall), "20261121014830123");
  assertEquals(releaseIdFor(undefined, wall), "20261121014830123");
  assertEquals(releaseIdFor("x".repeat(500), wall).length, 200);
});
