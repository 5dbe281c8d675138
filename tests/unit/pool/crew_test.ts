/** Replacement step by step, on a clock of the test. */

import { assert, assertEquals } from "@std/assert";
import type { WorkerPool } from "../../../lib/pool/contract.ts";
import { PoolError } from "../../../lib/pool/types.ts";
import { World } from "./fake_pool.ts";
import { ask, never, SETTINGS } from "./kit.ts";

async function started(world: World, count: number): Promise<WorkerPool> {
  const pool = world.pool({ ...SETTINGS, num_workers: count });
  const up = pool.start(never);
  await world.clock.advance(100);
  await up;
  return pool;
}

async function ended(world: World, pool: WorkerPool): Promise<void> {
  const gone = pool.destroy();
  await world.clock.advance(100_000);
  assertEquals(await gone, []);
  assertEquals(world.bugs, []);
}

Deno.test("a crash loop is slow, and never given up", async () => {
  const world = new World();
  const pool = await started(world, 3);
  world.start = "exit";
  for (const { child } of world.living) child.exit(1);
  await world.clock.advance(60_000);
  const minute = world.system.children.length;
  assert(minute > 8 && minute < 20, `${minute} processes in the first minute`);
  await world.clock.advance(3_600_000);
  const hour = world.system.children.length - minute;
  assert(hour > 100 && hour <= 120, `${hour} processes in an hour`);
  assertEquals(pool.snapshot().state, "failing");
  world.start = "well";
  await world.clock.advance(30_000);
  assertEquals(pool.alive, 3);
  await world.clock.advance(20_000);
  assertEquals(pool.snapshot().state, "ready", "who stands for a while has proven it");
  await ended(world, pool);
});

Deno.test("while starts fail, one is tried at a time; the others follow it", async () => {
  const world = new World();
  const pool = await started(world, 3);
  world.start = "held";
  for (const { child } of world.living) child.exit(1);
  await world.clock.advance(5_000);
  assertEquals(world.system.children.filter(({ alive }) => alive).length, 1);
  world.held.resolve();
  await world.clock.advance(5_000);
  assertEquals(pool.alive, 3);
  await ended(world, pool);
});

Deno.test("a worker that was being started when a reset came is replaced as well", async () => {
  const world = new World();
  const pool = await started(world, 1);
  world.start = "held";
  world.living[0].child.exit(1);
  await world.clock.advance(1_000);
  assertEquals(world.system.children.length, 2);
  const reset = pool.reset(never);
  world.start = "well";
  world.held.resolve();
  await world.clock.advance(100);
  assertEquals(await reset, 1);
  assertEquals(world.system.children.length, 3);
  assertEquals(pool.workers().find(({ state }) => state === "ready")?.pid, world.system.last.pid);
  await ended(world, pool);
});

Deno.test("max_surge: so many successors at a time, and who still answers counts", async () => {
  const world = new World();
  const pool = await started(world, 4);
  const calls = Array.from({ length: 4 }, () => ask(pool, "x").answer);
  const before = [...world.living];
  const reset = pool.reset(never);
  for (const old of before) {
    await world.clock.advance(1_000);
    assertEquals(world.living.length, 5, "one too many, and not more");
    old.answer("", false);
  }
  await world.clock.advance(1_000);
  assertEquals(await reset, 4);
  await Promise.all(calls);
  await ended(world, pool);
});

Deno.test("a cancelled request is not sent again", async () => {
  const world = new World();
  const pool = await started(world, 2);
  const call = ask(pool, "x");
  call.answer.catch((error: PoolError) => assertEquals(error.kind, "cancelled"));
  await world.clock.advance(0);
  call.cancel();
  world.busy[0].answer('{"stop":true}', false);
  await world.clock.advance(0);
  assertEquals([world.busy.length, pool.snapshot().queue], [0, 0]);
  await ended(world, pool);
});

Deno.test("a request that a worker gives back while the pool ends is refused", async () => {
  const world = new World();
  const pool = await started(world, 1);
  const refused = ask(pool, "x").answer.catch((error: PoolError) => error.kind);
  await world.clock.advance(0);
  const gone = pool.destroy();
  world.busy[0].answer('{"stop":true}', false);
  await world.clock.advance(1);
  assertEquals(await refused, "stopping");
  await world.clock.advance(100_000);
  assertEquals(await gone, []);
});

Deno.test("an answer that is seen before the end of the write: nobody is next before that", async () => {
  const world = new World();
  const pool = await started(world, 1);
  const [relay] = world.relays;
  const written = Promise.withResolvers<void>();
  relay.slow = written.promise;
  const first = ask(pool, "x").answer;
  const second = ask(pool, "y").answer;
  relay.answer("", false);
  await world.clock.advance(10);
  await first;
  assertEquals([relay.asked.length, pool.snapshot().queue], [0, 1]);
  written.resolve();
  await world.clock.advance(10);
  assertEquals([relay.asked.length, pool.snapshot().queue], [1, 0]);
  relay.answer("", false);
  await world.clock.advance(10);
  await second;
  await ended(world, pool);
});
