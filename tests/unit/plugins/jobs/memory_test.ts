/** The driver memory: what every driver does, and what only it does. */

import { assertEquals, assertRejects } from "@std/assert";
import { memory, MemoryDriver } from "../../../../plugins/jobs/memory.ts";
import type { PipelineConfig } from "../../../../lib/config/roadrunner/jobs.ts";
import { ManualClock } from "../../../kit/manual_clock.ts";
import { type Bench, jobOf, settingsOf, settleOne } from "./conformance/kit.ts";
import { conformance } from "./conformance/suite.ts";

class MemoryBench implements Bench {
  readonly clock = new ManualClock();
  readonly told: unknown[] = [];

  open(pipeline = "default", more: Partial<PipelineConfig> = {}): Promise<MemoryDriver> {
    const emit = (name: string, data: unknown) => void this.told.push([name, data]);
    const host = { clock: this.clock, emit };
    return Promise.resolve(new MemoryDriver(pipeline, settingsOf(more), host));
  }

  pass(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  [Symbol.asyncDispose](): Promise<void> {
    assertEquals(this.clock.pending, 0, "a closed driver waits for nothing");
    return Promise.resolve();
  }
}

conformance({ name: "memory", can: memory.can, bench: () => new MemoryBench() });

const full = { max_jobs: 2, max_size: 10 };

Deno.test("memory: no more jobs than max_jobs, dead ones included", async () => {
  await using bench = new MemoryBench();
  await using driver = await bench.open("small", { config: full });
  const job = () => jobOf({ payload: new Uint8Array(1) });
  await driver.push([job(), job()]);
  const error = await assertRejects(() => driver.push([job()]), Error, "is full");
  assertEquals(
    error.message,
    'pipeline "small" in memory is full: it may hold 2 jobs (max_jobs)',
  );
  await settleOne(driver, { kind: "dead", error: "x" });
  await assertRejects(() => driver.push([job()]), Error, "is full");
  await settleOne(driver, { kind: "ack" });
  await driver.push([job()]);
});

Deno.test("memory: no more bytes than max_size, and a batch is stored whole or not at all", async () => {
  await using bench = new MemoryBench();
  await using driver = await bench.open("small", { config: full });
  const six = () => jobOf({ payload: new Uint8Array(6) });
  await assertRejects(() => driver.push([six(), six()]), Error, "10 B of payloads");
  assertEquals((await driver.stat()).waiting, 0);
  await driver.push([six()]);
  await settleOne(driver, { kind: "drop", error: "x" });
  await driver.push([six()]);
});

Deno.test("memory: what is lost is said", async () => {
  await using bench = new MemoryBench();
  const driver = await bench.open("gone");
  await driver.push([jobOf(), jobOf({ delay: 1000 })]);
  await driver[Symbol.asyncDispose]();
  const reason = "memory keeps nothing when its pipeline is closed";
  assertEquals(bench.told, [["jobs_lost", { pipeline: "gone", jobs: 2, reason }]]);
});

Deno.test("memory: a wall clock that jumps moves no job", async () => {
  await using bench = new MemoryBench();
  await using driver = await bench.open();
  await driver.push([jobOf({ delay: 60_000 })]);
  bench.clock.jumpWall(-3_600_000);
  await bench.pass(59_000);
  assertEquals((await driver.stat()).delayed, 1);
  bench.clock.jumpWall(7_200_000);
  await bench.pass(1000);
  assertEquals((await driver.stat()).waiting, 1);
});
