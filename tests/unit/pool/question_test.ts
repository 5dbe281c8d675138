/** The question that stands in front of every request: what comes before its reply is no answer. */

import { assertEquals, assertRejects } from "@std/assert";
import { POOL } from "../../../lib/config/defaults.ts";
import { PoolError } from "../../../lib/pool/types.ts";
import { type FakeRelay, World } from "./fake_pool.ts";

const REQUEST = { flags: 8, context: new TextEncoder().encode("x"), body: [], what: "x" };

/** A pool of one worker, which says who it is when it is let. */
async function reserved() {
  const world = new World();
  const pool = world.pool({ ...POOL, num_workers: 1, max_surge: 1 });
  await pool.start(world.end.signal);
  const [worker] = world.relays;
  worker.reserved = true;
  return { world, pool, worker };
}

/** Lets everything happen that needs no time. */
async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

async function answered(worker: FakeRelay): Promise<void> {
  worker.sayPid();
  await settled();
  worker.answer("mine", false);
}

Deno.test("what a worker says before it said who it is ends it, and is no answer", async () => {
  const { world, pool, worker } = await reserved();
  const call = pool.call(REQUEST);
  worker.answer("of somebody else", false);
  const error = await assertRejects(() => call.answer, PoolError);
  assertEquals(error.kind, "broken");
  assertEquals(worker.closed, true);
  world.end.abort();
});

Deno.test("the request goes out with the question, over TCP behind its reply", async () => {
  for (const lags of [false, true]) {
    const { world, pool, worker } = await reserved();
    worker.lags = lags;
    const call = pool.call(REQUEST);
    await settled();
    assertEquals(worker.asked.length, lags ? 0 : 1);
    await answered(worker);
    assertEquals(new TextDecoder().decode((await call.answer).context), "mine");
    world.end.abort();
  }
});
