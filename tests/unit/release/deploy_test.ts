/** Deploys on a fake system: what is left when a step fails, and that nothing is done twice. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { configOf, processOf, proxiedOf } from "./configs.ts";
import { Stage } from "./stage.ts";

Deno.test("a first deploy starts everything and goes live", async () => {
  using stage = new Stage([
    processOf("beacon", "service"),
    processOf("worker"),
    proxiedOf("web"),
    processOf("cron", "singleton"),
  ]);
  const { result } = await stage.deploy("v1");
  assertEquals(stage.running, ["beacon of v1", "worker of v1", "web of v1", "cron of v1"]);
  assertEquals(stage.intake.gate.live?.release, "v1");
  assertEquals(stage.other.gate.live?.release, "v1");
  assertEquals(result.status, "success");
  assertEquals(stage.booked, stage.alive.map((child) => child.pid));
  assertEquals(stage.reserved, [20_000]);
});

Deno.test("the next one takes over, the old one drains and stops, services stay", async () => {
  using stage = new Stage([
    processOf("beacon", "service"),
    proxiedOf("web"),
    processOf("cron", "singleton"),
  ]);
  await stage.deploy("v1");
  const lease = stage.intake.gate.lease()!;
  const { result, retired } = await stage.deploy("v2");
  assertEquals(result.previous_release_id, "v1");
  assertEquals(stage.running, ["beacon of v1", "web of v1", "web of v2", "cron of v2"]);
  assertEquals(stage.states, ["v1 draining", "v2 active"]);
  lease.release();
  await stage.pass(retired);
  assertEquals(stage.running, ["beacon of v1", "web of v2", "cron of v2"]);
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
  assertEquals(stage.intake.built[0].dropped, true);
  assertEquals(stage.reserved, [20_001]);
});
