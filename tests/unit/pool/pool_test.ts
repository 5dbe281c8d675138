/** What a pool of real workers does on good days. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { PoolError } from "../../../lib/pool/types.ts";
import { soon, until } from "../../kit/wait.ts";
import { ask, Bench, bodyOf, never, told } from "./kit.ts";

Deno.test("workers answer, in turn", async () => {
  await using bench = new Bench();
  const pool = await bench.pool();
  assertEquals(await told(pool, "echo", "hello"), "hello");
  assertEquals(pool.alive, 2);
  const pids = [await told(pool, "pid"), await told(pool, "pid"), await told(pool, "pid")];
  assertEquals(pids[0], pids[2]);
  assert(pids[0] !== pids[1]);
  assertEquals([...bench.booked.keys()].map(String).sort(), [...new Set(pids)].sort());
  assertEquals(await pool.destroy(), []);
  assertEquals(bench.booked.size, 0);
  const gone = await assertRejects(() => ask(pool, "echo").answer, PoolError);
  assertEquals(gone.kind, "destroyed");
});

for (const kind of ["unix", "tcp"]) {
  Deno.test(`workers answer over ${kind} sockets`, async () => {
    await using bench = new Bench();
    const spec = bench.spec();
    const relay = kind === "unix" ? `unix://${bench.path("relay.sock")}` : "tcp://127.0.0.1:0";
    spec.worker = { ...spec.worker, relay };
    const pool = bench.open(spec);
    await pool.start(never);
    const big = "x".repeat(300_000);
    assertEquals(await told(pool, "echo", big), big);
    assertEquals(await pool.reset(never), 2);
    assertEquals(await told(pool, "echo", "again"), "again");
    assertEquals((await assertRejects(() => told(pool, "exit 1"), PoolError)).kind, "died");
    assertEquals(await told(pool, "echo", "again"), "again");
  });
}

Deno.test("a wrapper's worker is known by what it says it is", async () => {
  await using bench = new Bench();
  const spec = bench.spec({ num_workers: 1 });
  spec.worker.argv = ["/bin/sh", "-c", `"$@"; true`, "sh", ...spec.worker.argv];
  const pool = bench.open(spec);
  await pool.start(never);
  const pid = Number(await told(pool, "pid"));
  const [worker] = pool.workers();
  assert(worker.pid !== pid);
  assertEquals(worker.memory_bytes, bench.system.row(pid)?.rss_bytes);
});

Deno.test("big requests and answers arrive whole", async () => {
  await using bench = new Bench();
  const pool = await bench.pool();
  const big = "0123456789".repeat(500_000);
  assertEquals(await told(pool, "echo", big), big);
});

Deno.test("what workers do can be seen", async () => {
  await using bench = new Bench();
  const there = bench.fifo("there");
  const go = bench.fifo("go");
  const pool = await bench.pool();
  const what = `wait ${there.path} ${go.path}`;
  const call = ask(pool, what);
  const pid = Number(await there.line());
  const busy = pool.workers().find((worker) => worker.pid === pid)!;
  assertEquals([busy.state, busy.status, busy.jobs, busy.doing], ["working", 2, 1, what]);
  assert(busy.memory_bytes > 1_000_000 && busy.since_ms! >= 0 && busy.age_ms >= busy.since_ms!);
  const { idle, busy: count, starting, stopping, queue } = pool.snapshot();
  assertEquals({ idle, count, starting, stopping, queue }, {
    idle: 1,
    count: 1,
    starting: 0,
    stopping: 0,
    queue: 0,
  });
  go.release();
  assertEquals(await bodyOf(await call.answer), String(pid));
  const rested = pool.workers().find((worker) => worker.pid === pid)!;
  assertEquals([rested.state, rested.doing, rested.since_ms], ["ready", null, null]);
});

Deno.test("max_queue_size counts who waits and who is answered; 10,000 wait their turn", async () => {
  await using bench = new Bench();
  const there = bench.fifo("there");
  const go = bench.fifo("go");
  const pool = await bench.pool({ num_workers: 1, max_queue_size: 10_001 });
  const first = ask(pool, `wait ${there.path} ${go.path}`);
  await there.line();
  const calls = Array.from({ length: 10_000 }, (_, n) => ask(pool, "echo", String(n)));
  assertEquals(pool.snapshot().queue, 10_000);
  const refused = await assertRejects(() => ask(pool, "echo").answer, PoolError);
  assertEquals(refused.kind, "queue_full");
  assertEquals(bench.events("pool_exhausted").length, 1);
  for (const call of calls.slice(5_000)) call.cancel();
  assertEquals(pool.snapshot().queue, 5_000);
  go.release();
  await first.answer;
  const answers = await Promise.all(
    calls.slice(0, 5_000).map(async ({ answer }) => {
      return new TextDecoder().decode((await answer).body);
    }),
  );
  assertEquals(answers, Array.from({ length: 5_000 }, (_, n) => String(n)));
  const cancelled = await assertRejects(() => calls[9_999].answer, PoolError);
  assertEquals(cancelled.kind, "cancelled");
});

Deno.test("who waits for too long is refused", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1, allocate_timeout: 300 });
  const first = ask(pool, "hang");
  const late = await soon("it", assertRejects(() => ask(pool, "echo").answer, PoolError));
  assertEquals(late.kind, "no_worker");
  assertMatch(late.message, /pool "http": no worker became free within 300ms$/);
  assertEquals(pool.snapshot().no_free_workers, 1);
  first.cancel();
  await assertRejects(() => first.answer, PoolError, "cancelled");
});

Deno.test("an answer that nobody waits for is thrown away, and the worker goes on", async () => {
  await using bench = new Bench();
  const there = bench.fifo("there");
  const go = bench.fifo("go");
  const pool = await bench.pool({ num_workers: 1 });
  const call = ask(pool, `wait ${there.path} ${go.path}`);
  const pid = await there.line();
  call.cancel();
  assertEquals((await assertRejects(() => call.answer, PoolError)).kind, "cancelled");
  go.release();
  assertEquals(await told(pool, "pid"), pid);
});

// Streams.

Deno.test("a stream comes part by part, pings are answered", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1 });
  const parts = Array.from({ length: 40 }, (_, n) => `part ${n};`).join("");
  assertEquals(await told(pool, "stream 40"), `${parts}end`);
  assertEquals(await told(pool, "echo", "after"), "after");
});

Deno.test("a stream that is cancelled is told so, and the worker goes on", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1 });
  const pid = await told(pool, "pid");
  const answer = await ask(pool, "stream 1000000000").answer;
  await answer.next();
  answer.cancel();
  assertEquals(await answer.next(), undefined);
  assertEquals(await soon("the next", told(pool, "pid")), pid);
});

Deno.test("a stream that is cancelled before its first part ends like any other", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1 });
  const pid = await told(pool, "pid");
  const call = ask(pool, "stream 1000000000");
  call.cancel();
  await assertRejects(() => call.answer, PoolError, "cancelled");
  assertEquals(await soon("the next", told(pool, "pid")), pid);
});

Deno.test("a taker that is slow holds the worker up, not memory, and not exec_ttl", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1, supervisor: { exec_ttl: 300 } });
  const answer = await ask(pool, "stream 20000").answer;
  const began = performance.now();
  await until("time has passed", () => performance.now() - began > 600);
  assertEquals(pool.workers()[0].state, "working");
  assertMatch(await bodyOf(answer), /part 19999;end$/);
});

Deno.test("what a worker said before its end is not lost on a slow taker", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1 });
  const answer = await ask(pool, "lastwords").answer;
  await until("it has ended", () => !bench.runs(answer.pid));
  const ended = performance.now();
  await until("last words would have been cut", () => performance.now() - ended > 700);
  assertEquals(await bodyOf(answer), "part 0;part 1;part 2;part 3;part 4;end");
});

Deno.test("a stream that does not end when cancelled costs the worker", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1, stream_timeout: 200 });
  const answer = await ask(pool, "endless").answer;
  answer.cancel();
  await until("it is replaced", () => pool.snapshot().replaced.stream === 1);
  assertEquals(await told(pool, "echo", "next"), "next");
});

// Warm-up.

Deno.test("a new worker answers its warm-up before others", async () => {
  await using bench = new Bench();
  const asked: string[] = [];
  const context = new TextEncoder().encode("pid");
  const warmup = async (exec: Parameters<NonNullable<ReturnType<Bench["spec"]>["warmup"]>>[0]) => {
    const answer = await exec({ flags: 8, context, body: [], what: "warm-up" });
    asked.push(new TextDecoder().decode(answer.body));
  };
  const pool = bench.open(bench.spec({}, [], { warmup }));
  await pool.start(never);
  assertEquals(asked.sort(), pool.workers().map(({ pid }) => String(pid)).sort());
  assertEquals(pool.workers().map(({ jobs }) => jobs), [0, 0]);
});

Deno.test("a warm-up that fails is a failed start", async () => {
  await using bench = new Bench();
  const context = new TextEncoder().encode("exit 9");
  const pool = bench.open(bench.spec({}, [], {
    warmup: async (exec) => void await exec({ flags: 8, context, body: [], what: "warm-up" }),
  }));
  const error = await assertRejects(() => pool.start(never), Failure);
  assertMatch(error.message, /exited with code 9/);
  assertEquals(bench.booked.size, 0);
});

// Its end.

Deno.test("destroy lets busy workers answer and refuses who waits", async () => {
  await using bench = new Bench();
  const there = bench.fifo("there");
  const go = bench.fifo("go");
  const pool = await bench.pool({ num_workers: 1 });
  const call = ask(pool, `wait ${there.path} ${go.path}`);
  const waiting = ask(pool, "echo").answer.catch((error) => error.kind);
  const pid = await there.line();
  const gone = pool.destroy();
  assertEquals(await waiting, "destroyed");
  assertEquals(pool.snapshot().state, "draining");
  go.release();
  assertEquals(await bodyOf(await call.answer), pid);
  assertEquals(await gone, []);
  assertEquals(pool.snapshot().state, "stopped");
});

Deno.test("destroy ends who does not answer within destroy_timeout; in a hurry, sooner", async () => {
  for (const hurry of [false, true]) {
    await using bench = new Bench();
    const pool = await bench.pool({ num_workers: 1, destroy_timeout: hurry ? 20_000 : 200 });
    const call = ask(pool, "hang").answer.catch((error) => error.kind);
    const gone = pool.destroy();
    if (hurry) pool.hurry(0);
    assertEquals(await soon("the end", gone), []);
    assertEquals(await call, "destroyed");
  }
});

Deno.test("debug: a fresh process for each request", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ debug: true });
  assertEquals(bench.booked.size, 0);
  const pids = await Promise.all(Array.from({ length: 20 }, () => told(pool, "pid")));
  assertEquals(new Set(pids).size, 20);
  await until("all are gone", () => bench.booked.size === 0);
  assertEquals(pool.snapshot().state, "ready");
});

Deno.test("debug: a process that does not start costs its request, and says why", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ debug: true }, ["exit"]);
  const error = await assertRejects(() => told(pool, "pid"), PoolError);
  assertEquals(error.kind, "no_worker");
  assertMatch(error.message, /exited with code 3/);
});
