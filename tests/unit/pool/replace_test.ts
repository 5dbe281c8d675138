/** Replacement of real workers for every reason: new before old, no request lost, never too many. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import type { WorkerPool } from "../../../lib/pool/contract.ts";
import { PoolError } from "../../../lib/pool/types.ts";
import { soon, until } from "../../kit/wait.ts";
import { ask, Bench, bodyOf, fast, never, told } from "./kit.ts";

function pids(pool: WorkerPool): number[] {
  return pool.workers().map(({ pid }) => pid).sort();
}

/** Asks without pause until told to stop. @returns the refusals */
function load(pool: WorkerPool, clients: number) {
  let on = true;
  let answers = 0;
  const refusals: unknown[] = [];
  const client = async () => {
    while (on) {
      try {
        await bodyOf(await ask(pool, "echo", "x").answer);
        answers++;
      } catch (error) {
        refusals.push(error);
      }
    }
  };
  const done = Promise.all(Array.from({ length: clients }, client));
  return {
    get answers() {
      return answers;
    },
    async stop() {
      on = false;
      await done;
      return refusals;
    },
  };
}

Deno.test("reset under load: all are new, no request fails, never more than max_surge too many", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 4, max_surge: 2 });
  const before = pids(pool);
  const traffic = load(pool, 8);
  await until("there is load", () => traffic.answers > 50);
  let most = 0;
  pool.onChange(() => {});
  const watch = until("the roll", () => {
    most = Math.max(most, pool.workers().filter(({ state }) => state !== "stopping").length);
    return pool.snapshot().replaced.reset === 4;
  });
  assertEquals(await soon("the reset", pool.reset(never)), 4);
  await watch;
  const answered = traffic.answers;
  await until("the load goes on", () => traffic.answers > answered + 50);
  assertEquals(await traffic.stop(), []);
  assert(most <= 6, `${most} at a time`);
  await until("the old are gone", () => bench.booked.size === 4);
  assertEquals(pids(pool).filter((pid) => before.includes(pid)), []);
});

Deno.test("two resets at once are one", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 3 });
  assertEquals(await Promise.all([pool.reset(never), pool.reset(never)]), [3, 3]);
  assertEquals(pool.snapshot().replaced.reset, 3);
  assertEquals(await pool.reset(never), 3);
  assertEquals(pool.snapshot().replaced.reset, 6);
});

Deno.test("a reset waits for the answer of a busy worker", async () => {
  await using bench = new Bench();
  const there = bench.fifo("there");
  const go = bench.fifo("go");
  const pool = await bench.pool({ num_workers: 1 });
  const call = ask(pool, `wait ${there.path} ${go.path}`);
  const pid = await there.line();
  let over = false;
  const reset = pool.reset(never).then(() => over = true);
  await until("the successor works", () => pool.snapshot().replaced.reset === 1);
  assert(await told(pool, "pid") !== pid);
  assertEquals([over, bench.runs(pid)], [false, true]);
  assertEquals(pool.snapshot().stopping, 1);
  go.release();
  assertEquals(await bodyOf(await call.answer), pid);
  await soon("the reset", reset);
  await until("the old one is gone", () => !bench.runs(pid));
});

Deno.test("a worker that does not answer within reset_timeout is ended", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1, reset_timeout: 200 });
  const call = ask(pool, "hang").answer.catch((error) => error);
  assertEquals(await soon("the reset", pool.reset(never)), 1);
  const error = await soon("the refusal", call);
  assertEquals((error as PoolError).kind, "timeout");
  assertEquals(await told(pool, "echo", "on"), "on");
});

Deno.test("a reset whose successors do not come up fails, and the workers stay", async () => {
  await using bench = new Bench();
  const switched = bench.write("switch", "");
  const pool = await bench.pool({ num_workers: 3 }, ["if", switched]);
  const before = pids(pool);
  Deno.removeSync(switched);
  const error = await assertRejects(() => pool.reset(never), Failure);
  assertMatch(error.message, /exited with code 4/);
  assertEquals(pids(pool), before);
  assertEquals(await told(pool, "echo", "on"), "on");
  bench.write("switch", "");
  assertEquals(await pool.reset(never), 3);
});

Deno.test("a reset during a crash loop tries at once, and mends it", async () => {
  await using bench = new Bench();
  const switched = bench.write("switch", "");
  const pool = await bench.pool({ num_workers: 2 }, ["if", switched]);
  Deno.removeSync(switched);
  for (const { pid } of pool.workers()) Deno.kill(pid, "SIGKILL");
  await until("it fails again and again", () => bench.events("worker_start_failed").length >= 3);
  await assertRejects(() => pool.reset(never), Failure, "exited with code 4");
  assertEquals(pool.snapshot().state, "failing");
  bench.write("switch", "");
  assertEquals(await soon("the reset", pool.reset(never)), 2);
  assertEquals(pool.alive, 2);
});

Deno.test("max_jobs: a successor is started before, and no request waits for a stop", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 2, max_jobs: 5 });
  const traffic = load(pool, 4);
  await until("many were replaced", () => (pool.snapshot().replaced.max_jobs ?? 0) > 10);
  assertEquals(await traffic.stop(), []);
  assertEquals(bench.events("worker_failed"), []);
  for (const { jobs } of pool.workers()) assert(jobs <= 5);
});

Deno.test("max_jobs 1: every request has a worker of its own", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 2, max_jobs: 1 });
  const seen = await Promise.all(Array.from({ length: 12 }, () => told(pool, "pid")));
  assertEquals(new Set(seen).size, 12);
});

Deno.test("a worker that asks to be replaced is, and its request goes to another one", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 2 });
  await Promise.all([told(pool, "echo"), told(pool, "echo")]);
  const before = pids(pool);
  // Each worker that gets it leaves, until it was asked too often.
  const error = await assertRejects(() => told(pool, "stop"), PoolError);
  assertEquals(error.kind, "stopping");
  await until("two are there", () => pool.snapshot().idle === 2);
  assertEquals(pids(pool).filter((pid) => before.includes(pid)).length, 0);
  assertEquals(pool.snapshot().replaced.stop, 4);
});

Deno.test("ttl: who is old is replaced, new before old", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 2, supervisor: { ttl: 400, watch_tick: 50 } });
  const before = pids(pool);
  const traffic = load(pool, 2);
  await until("both were replaced", () => (pool.snapshot().replaced.ttl ?? 0) >= 2);
  await until("the old are gone", () => !before.some((pid) => bench.runs(pid)));
  assertEquals(await traffic.stop(), []);
});

Deno.test("idle_ttl: who has rested too long is replaced, but not who was never used", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ supervisor: { idle_ttl: 200, watch_tick: 50 } });
  const used = await told(pool, "pid");
  await until("it is replaced", () => pool.snapshot().replaced.idle_ttl === 1);
  const began = performance.now();
  await until("time passes", () => performance.now() - began > 500);
  assertEquals(pool.snapshot().replaced, { idle_ttl: 1 });
  assert(!pids(pool).includes(Number(used)));
});

Deno.test("max_worker_memory acts between requests", async () => {
  await using bench = new Bench();
  const there = bench.fifo("there");
  const go = bench.fifo("go");
  const supervisor = { max_worker_memory: 120_000_000, watch_tick: 50 };
  const pool = await bench.pool({ num_workers: 1, supervisor });
  await told(pool, "grow 150");
  await until("it is replaced", () => pool.snapshot().replaced.memory === 1);
  assertEquals(bench.events("worker_failed"), []);
  // A busy one is marked, and goes after its answer.
  pool.update({
    ...bench.spec().settings,
    supervisor: { ...bench.spec().settings.supervisor, watch_tick: 50, max_worker_memory: 1 },
  });
  const call = ask(pool, `wait ${there.path} ${go.path}`);
  const pid = await there.line();
  await until(
    "it is marked",
    () => pool.workers().some((one) => String(one.pid) === pid && one.state === "invalid"),
  );
  go.release();
  assertEquals(await bodyOf(await call.answer), pid);
  await until("it is gone", () => !bench.runs(pid));
});

Deno.test("a deaf worker is found by the self-probe; a busy or answering one is left alone", async () => {
  await using bench = new Bench();
  const clock = fast(bench.system.clock, 50);
  const pool = bench.open(bench.spec({ num_workers: 2, allocate_timeout: 1_000_000 }), {
    ...bench.host,
    clock,
  });
  await pool.start(never);
  const sound = await told(pool, "pid");
  const deaf = pool.workers().find(({ pid }) => String(pid) !== sound)!.pid;
  await told(pool, "deaf");
  await until("it is replaced", () => pool.snapshot().replaced.deaf === 1);
  assert(!bench.runs(deaf) || !pids(pool).includes(deaf));
  assertMatch(bench.events("worker_failed")[0].error, /self-probe failed/);
  assert(pids(pool).includes(Number(sound)));
});

Deno.test("resize: more are proven before it says so; fewer go when they have answered", async () => {
  await using bench = new Bench();
  const there = bench.fifo("there");
  const go = bench.fifo("go");
  const switched = bench.write("switch", "");
  const pool = await bench.pool({ num_workers: 1 }, ["if", switched]);
  await pool.resize(4, never);
  assertEquals([pool.alive, pool.snapshot().target], [4, 4]);
  const call = ask(pool, `wait ${there.path} ${go.path}`);
  const pid = await there.line();
  await pool.resize(1, never);
  assertEquals(pids(pool).includes(Number(pid)), true);
  await until("idle ones went first", () => bench.booked.size === 1);
  go.release();
  assertEquals(await bodyOf(await call.answer), pid);
  Deno.removeSync(switched);
  await assertRejects(() => pool.resize(3, never), Failure, "exited with code 4");
  assertEquals([pool.alive, pool.snapshot().target], [1, 1]);
});

Deno.test("dynamic_allocator: more while requests wait, fewer when they no longer do", async () => {
  await using bench = new Bench();
  const there = bench.fifo("there");
  const go = bench.fifo("go");
  const dynamic_allocator = { max_workers: 2, spawn_rate: 5, idle_timeout: 1_000 };
  const pool = await bench.pool({
    num_workers: 1,
    dynamic_allocator,
    supervisor: { watch_tick: 100 },
  });
  const call = ask(pool, `wait ${there.path} ${go.path}`);
  await there.line();
  assertEquals(await soon("one that waited", told(pool, "echo", "served")), "served");
  await until("there are three", () => pool.snapshot().idle === 2);
  assertEquals(bench.events("pool_adapted").map(({ from, to }) => [from, to]), [[1, 3]]);
  go.release();
  await call.answer;
  await until("there is one", () => bench.booked.size === 1);
  assertEquals(bench.events("pool_adapted").at(-1)!.why, "rest");
});

Deno.test("quiesced: nobody new; limits that only replace do not act; what waits is answered", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1, max_jobs: 2 });
  pool.quiesce();
  const before = pids(pool);
  for (let n = 0; n < 5; n++) assertEquals(await told(pool, "pid"), String(before[0]));
  const waiting = ask(pool, "exit 1").answer.catch((error) => error.kind);
  const behind = ask(pool, "echo").answer.catch((error) => error.kind);
  assertEquals([await waiting, await behind], ["died", "no_worker"]);
  const error = await assertRejects(() => ask(pool, "echo").answer, PoolError);
  assertEquals(error.kind, "no_worker");
  await assertRejects(() => pool.reset(never), Failure);
});

Deno.test("the daemon's end ends what the pool does", async () => {
  await using bench = new Bench();
  const pool = await bench.pool();
  bench.end.abort();
  assertEquals(pool.snapshot().state, "draining");
});
