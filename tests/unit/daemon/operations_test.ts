/** What operators can ask: turns, names, answers. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Progress } from "../../../lib/control/operations.ts";
import { Exit, Failure } from "../../../lib/core/failure.ts";
import { turn } from "../../kit/manual_clock.ts";
import { processOf, proxiedOf } from "../release/configs.ts";
import { Daemon } from "./kit.ts";

const ALL = [processOf("worker"), proxiedOf("web"), processOf("cron", "singleton")];

Deno.test("a deploy takes its turn, and says what it waits for", async () => {
  using daemon = new Daemon(ALL);
  const { operations, stage } = daemon;
  const told: string[][] = [[], []];
  const order = (id: string, steps: string[]) =>
    operations.deploy(
      { release_path: stage.release(id), release_id: id },
      (step: Progress) => steps.push(`${step.step}: ${step.message}`),
      stage.end.signal,
    );
  const first = order("v1", told[0]);
  const second = order("v2", told[1]);
  await turn();
  assertEquals(told[1], ["queued: waiting for: deploy v1"]);
  assertEquals(operations.status().operation, {
    name: "deploy v1",
    since: "2030-01-01T00:00:00.000Z",
    waiting: ["deploy v2"],
  });
  assertEquals((await stage.pass(first)).active_release_id, "v1");
  const result = await stage.pass(second);
  assertEquals([result.active_release_id, result.previous_release_id], ["v2", "v1"]);
  assertEquals(operations.status().operation, null);
});

Deno.test("with wait it answers when the old release is stopped", async () => {
  using daemon = new Daemon(ALL);
  await daemon.deploy("v1");
  daemon.stage.intake.gate.lease();
  const at = daemon.stage.clock.now();
  const result = await daemon.deploy("v2", { wait: true });
  assertEquals([result.drained, daemon.stage.states[0]], [true, "v1 stopped"]);
  assert(daemon.stage.clock.now() - at >= 60_000);
  assertEquals("drained" in await daemon.deploy("v3"), false);
});

Deno.test("a wait for the drain does not keep the next one from its turn", async () => {
  using daemon = new Daemon(ALL);
  await daemon.deploy("v1");
  const lease = daemon.stage.intake.gate.lease()!;
  const { operations, stage } = daemon;
  const release_path = stage.release("v2");
  const waiting = operations.deploy({ release_path, wait: true }, () => {}, stage.end.signal);
  await stage.clock.advance(300);
  await daemon.deploy("v3");
  lease.release();
  await stage.pass(waiting);
});

Deno.test("paths and names that cannot be used are refused before anything is asked of anybody", async () => {
  using daemon = new Daemon(ALL);
  const { operations, stage } = daemon;
  const refused = (request: { release_path: string; release_id?: string }) =>
    assertThrows(() => operations.deploy(request, () => {}, stage.end.signal), Failure);
  const relative = refused({ release_path: "releases/v1" });
  assertEquals([relative.message, relative.exit], [
    'the release path "releases/v1" is relative',
    Exit.usage,
  ]);
  refused({ release_path: stage.scratch.path("gone") });
  for (const release_id of ["", "a/b", "../x", "-x", " ", "a b", "é", "x".repeat(201)]) {
    const { exit } = refused({ release_path: stage.release("v1"), release_id });
    assertEquals(exit, Exit.usage, release_id);
  }
  assertEquals(stage.world.told, []);
  const release_path = stage.release("v1");
  const ok = operations.deploy({ release_path, revision: "feature/x" }, () => {}, stage.end.signal);
  const { active_release_id, revision } = await stage.pass(ok);
  assertEquals([active_release_id, revision], ["feature-x", "feature/x"]);
});

Deno.test("rollback: to the one before, to a named one, and back again", async () => {
  using daemon = new Daemon(ALL);
  const { stage, operations } = daemon;
  for (const id of ["v1", "v2", "v3"]) await daemon.deploy(id, { wait: true, revision: `r${id}` });
  const back = (release_id?: string) =>
    daemon.pass(() => operations.rollback({ release_id, wait: true }, () => {}, stage.end.signal));
  const result = await back();
  assertEquals([result.active_release_id, result.revision], ["v2", "rv2"]);
  assertEquals(stage.program("cron").spec.env.SUPERVISOR_RELEASE_ID, "v2");
  assertEquals((await back()).active_release_id, "v3");
  assertEquals((await back("v1")).active_release_id, "v1");
  assertEquals(stage.states, ["v2 stopped", "v3 stopped", "v1 active"]);
  assertEquals(stage.world.events("deploy_started").at(-1)?.kind, "rollback");
});

Deno.test("rollback to what is not there, or nowhere, fails before it waits for its turn", async () => {
  using daemon = new Daemon(ALL);
  const { stage, operations } = daemon;
  const back = (release_id?: string) =>
    operations.rollback({ release_id }, () => {}, stage.end.signal);
  assertThrows(() => back(), Failure, "no earlier release");
  await daemon.deploy("v1");
  assertThrows(() => back("v9"), Failure, 'there is no release "v9"');
});

Deno.test("rollback to a directory that is gone fails before anything stops", async () => {
  using daemon = new Daemon(ALL);
  const { stage, operations } = daemon;
  for (const id of ["v1", "v2"]) await daemon.deploy(id, { wait: true });
  Deno.removeSync(stage.scratch.path("v1"));
  const before = stage.alive.map((child) => child.pid);
  await assertRejects(
    () => daemon.pass(() => operations.rollback({}, () => {}, stage.end.signal)),
    Failure,
    "does not exist",
  );
  assertEquals(stage.alive.map((child) => child.pid), before);
});

Deno.test("which release a rollback means is decided when its turn comes", async () => {
  using daemon = new Daemon(ALL);
  const { stage, operations } = daemon;
  for (const id of ["v1", "v2"]) await daemon.deploy(id, { wait: true });
  const deploying = daemon.deploy("v3");
  const rolling = operations.rollback({}, () => {}, stage.end.signal);
  await deploying;
  assertEquals((await stage.pass(rolling)).active_release_id, "v2");
});

Deno.test("stop, restart and scale answer what they did", async () => {
  using daemon = new Daemon(ALL);
  const { operations } = daemon;
  await daemon.deploy("v1");
  assertEquals(await daemon.pass(() => operations.restart({ policy: "companion" })), {
    status: "success",
    restarted: ["worker"],
  });
  assertEquals(await daemon.pass(() => operations.scale({ name: "worker", count: 2 })), {
    status: "success",
    name: "worker",
    count: 2,
    previous: 1,
  });
  const status = await daemon.pass(() => operations.stop({ now: true }));
  assertEquals([status.active_release_id, status.releases[0].state], [null, "stopped"]);
  assertEquals(status.singletons.map((one) => one.process.state), ["running"]);
});

Deno.test("shutdown ends the daemon", async () => {
  using daemon = new Daemon(ALL);
  assertEquals((await daemon.operations.shutdown()).status, "success");
  assertEquals(daemon.ended, "shutdown was asked for");
});

Deno.test("looking works while a change hangs", async () => {
  using daemon = new Daemon(ALL);
  const { operations, stage, context } = daemon;
  await daemon.deploy("v1");
  stage.intake.gate.lease();
  stage.intake.onBuild = () => new Promise(() => {});
  const hanging = operations.deploy(
    { release_path: stage.release("v2"), release_id: "v2" },
    () => {},
    stage.end.signal,
  );
  hanging.catch(() => {});
  await stage.clock.advance(200);
  const status = operations.status();
  assertEquals(status.releases.map((one) => [one.release_id, one.state, one.leases]), [
    ["v1", "active", 1],
    ["v2", "starting", 0],
  ]);
  assertEquals([status.leases, status.operation?.name], [1, "deploy v2"]);
  const { application, file: config } = context.config;
  assertEquals(operations.health(), {
    status: "ok",
    live: true,
    active_release_id: "v1",
    application,
    config,
  });
  assertEquals((await operations.plan()).changes, []);
  context.state = "stopping";
  assertEquals(operations.health().status, "stopping");
});

Deno.test("status tells what drains, what is left over, and what is not brought back", async () => {
  using daemon = new Daemon(ALL);
  await daemon.deploy("v1");
  const next = new Daemon(ALL, daemon);
  assertEquals(next.operations.status().orphans.map((one) => [one.id, one.release_id]), [
    ["worker", "v1"],
    ["web", "v1"],
    ["cron", "v1"],
  ]);
  await next.deploy("v2");
  next.stage.intake.gate.lease();
  await next.deploy("v3");
  const status = next.operations.status();
  assertEquals([status.leases, status.releases[1].drain_left_ms], [1, 59_900]);
  assertEquals(status.releases[2].ports, { web: 20_002 });
  assertEquals(status.releases[2].processes.map((one) => one.id), ["worker", "web"]);
});
