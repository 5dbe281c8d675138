/** Reset, scale and looking at the pools of a fleet. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import type { WorkerPool } from "../../../lib/pool/contract.ts";
import { poolsNamed, poolsShown, resetPools, scalePool } from "../../../lib/release/pool_work.ts";
import { Stage } from "./stage.ts";
import { workersConfig } from "./worker_configs.ts";

/** A pool that remembers what was asked of it. */
class FakePool implements Partial<WorkerPool> {
  readonly plugin: string;
  readonly asked: string[] = [];
  /** Set to let the next thing fail. */
  fails: Error | undefined;

  constructor(readonly name: string, readonly release: string) {
    this.plugin = name.split(".")[0];
  }

  reset(_: AbortSignal, rested?: () => void): Promise<number> {
    return this.#did("reset", () => {
      rested?.();
      return 2;
    });
  }

  resize(count: number): Promise<void> {
    return this.#did(`resize ${count}`, () => {});
  }

  quiesce(): void {
    this.asked.push("quiesce");
  }

  #did<T>(what: string, then: () => T): Promise<T> {
    this.asked.push(what);
    return this.fails === undefined ? Promise.resolve(then()) : Promise.reject(this.fails);
  }
}

/** A fleet whose releases have these pools; the first release is live. */
async function fleetWith(names: string[], config = workersConfig()) {
  const stage = new Stage(config);
  const made: FakePool[] = [];
  stage.intake.pools = ({ release }) => {
    if (!made.some((pool) => pool.release === release)) {
      made.push(...names.map((name) => new FakePool(name, release)));
    }
    return made.filter((pool) => pool.release === release) as unknown as WorkerPool[];
  };
  await stage.deploy("v1");
  return { stage, fleet: stage.fleet, made, signal: stage.end.signal };
}

Deno.test("reset: all, those of a plugin, or one by name; each is told", async () => {
  const { stage, fleet, made, signal } = await fleetWith(["http", "jobs.mail", "jobs.pdf"]);
  using _ = stage;
  const asked = () => made.map(({ asked }) => asked.length);
  assertEquals((await resetPools(fleet, undefined, signal)).length, 3);
  assertEquals(asked(), [1, 1, 1]);
  await resetPools(fleet, "jobs", signal);
  assertEquals(asked(), [1, 2, 2]);
  const done = await resetPools(fleet, "jobs.pdf", signal);
  assertEquals(done, [{ pool: "jobs.pdf", replaced: 2, ms: 0 }]);
  assertEquals(asked(), [1, 2, 3]);
  assertEquals(stage.world.events("pool_reset").length, 6);
});

Deno.test("reset: one that fails keeps none of the others from being done", async () => {
  const { stage, fleet, made, signal } = await fleetWith(["http", "jobs.mail"]);
  using _ = stage;
  made[0].fails = new Failure("worker gone");
  const failed = () => resetPools(fleet, undefined, signal);
  const failure = await assertRejects(failed, Failure, '"http": worker gone');
  assertEquals(made[1].asked, ["reset"]);
  const pools = (failure as Failure).detail?.pools as { pool: string; replaced: number }[];
  assertEquals(pools.map(({ pool, replaced }) => [pool, replaced]), [["http", 0], [
    "jobs.mail",
    2,
  ]]);
  const told = stage.world.events("pool_reset").map(({ pool, error }) => [pool, error]);
  assertEquals(told, [["http", "worker gone"], ["jobs.mail", undefined]]);
});

Deno.test("reset: who asks hears when every pool has only busy workers left", async () => {
  const { stage, fleet, made, signal } = await fleetWith(["http", "jobs.mail"]);
  using _ = stage;
  const go = Promise.withResolvers<number>();
  const rested: (() => void)[] = [];
  for (const pool of made) {
    pool.reset = (_, told) => {
      rested.push(told!);
      return go.promise;
    };
  }
  let heard = 0;
  const reset = resetPools(fleet, undefined, signal, () => heard++);
  rested[0]();
  assertEquals(heard, 0);
  rested[1]();
  assertEquals(heard, 1);
  go.resolve(1);
  await reset;
});

Deno.test("names: what there is not is answered with what there is", async () => {
  const { stage, fleet } = await fleetWith(["http", "jobs.mail"]);
  using _ = stage;
  const failure = assertThrows(() => poolsNamed(fleet, "nope"), Failure, 'no worker pool "nope"');
  assertEquals(failure.fix, "pools: http, jobs, jobs.mail");
  assertEquals(poolsNamed(fleet, "jobs").map(({ name }) => name), ["jobs.mail"]);

  using bare = new Stage(workersConfig());
  const nothing = assertThrows(() => poolsNamed(bare.fleet, undefined), Failure);
  assertEquals(nothing.fix, "nothing is live: deploy a release first");
  assertEquals(poolsShown(bare.fleet, undefined), []);
  assertThrows(() => poolsShown(bare.fleet, "http"), Failure);
});

Deno.test("shown are those of releases on their way out too; only the live ones are reset", async () => {
  const { stage, fleet, made, signal } = await fleetWith(["http"]);
  using _ = stage;
  stage.intake.drainBudget = () => 10_000;
  const lease = stage.intake.gate.lease()!;
  await stage.deploy("v2");
  assertEquals(poolsShown(fleet, "http").map(({ release }) => release), ["v1", "v2"]);
  await resetPools(fleet, undefined, signal);
  assertEquals(made.map(({ asked }) => asked), [["quiesce"], ["reset"]]);
  lease.release();
});

Deno.test("scale: the pool, the event, and the count that is kept", async () => {
  const { stage, fleet, made, signal } = await fleetWith(["http"]);
  using _ = stage;
  assertEquals(await scalePool(fleet, "http", 5, signal), 2);
  assertEquals(made[0].asked, ["resize 5"]);
  assertEquals(stage.world.events("pool_scaled"), [
    { pool: "http", release: "v1", count: 5, previous: 2 },
  ]);
  assertEquals(fleet.poolCount("http", 2), 5);
  assertEquals(fleet.poolCount("http", 3), 3, "configured anew");
  assertEquals(stage.history.read().scale, { http: 5 });
  assertEquals(await scalePool(fleet, "nope", 5, signal), undefined);

  // The next daemon knows it.
  using next = new Stage(workersConfig(), stage);
  assertEquals(next.fleet.poolCount("http", 2), 5);
});

Deno.test("scale: what does not come up is not kept; impossible numbers are refused", async () => {
  const { stage, fleet, made, signal } = await fleetWith(["http"]);
  using _ = stage;
  made[0].fails = new Failure("no worker");
  await assertRejects(() => scalePool(fleet, "http", 5, signal), Failure, "no worker");
  assertEquals([fleet.poolCount("http", 2), stage.world.events("pool_scaled")], [2, []]);
  await assertRejects(() => scalePool(fleet, "http", 0, signal), Failure, "cannot have 0 workers");

  const debug = await fleetWith(["http"], workersConfig({}, { debug: true }));
  using __ = debug.stage;
  const refused = () => scalePool(debug.fleet, "http", 3, debug.signal);
  const failure = await assertRejects(refused, Failure, "debug mode");
  assertEquals((failure as Failure).fix, "set http.pool.debug to false and reload");
});

Deno.test("scale before anything is live counts from the first deploy on", async () => {
  using stage = new Stage(workersConfig());
  assertEquals(await scalePool(stage.fleet, "http", 4, stage.end.signal), 2);
  assertEquals([stage.fleet.poolCount("http", 2), stage.world.events("pool_scaled")], [4, []]);
});
