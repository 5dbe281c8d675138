/** What workers do to a pool: each bad day ends in an answer, an event, and a worker that works. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import type { WorkerPool } from "../../../lib/pool/contract.ts";
import { PoolError } from "../../../lib/pool/types.ts";
import { soon, until } from "../../kit/wait.ts";
import { ask, Bench, bodyOf, fast, never, told } from "./kit.ts";

/** The refusal of a request. */
async function refusal(pool: WorkerPool, what: string, body = ""): Promise<PoolError> {
  try {
    await bodyOf(await soon(what, ask(pool, what, body).answer));
  } catch (error) {
    if (error instanceof PoolError) return error;
    throw error;
  }
  throw new Error(`${what} was answered`);
}

/** The failure of a start. */
async function failure(start: Promise<unknown>): Promise<Failure> {
  try {
    await soon("the start", start);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("it started");
}

async function whole(bench: Bench, pool: WorkerPool, count = 2): Promise<void> {
  await until("all workers are there again", () => pool.snapshot().idle === count);
  assertEquals(await told(pool, "echo", "on"), "on");
  await until("the old one is gone", () => bench.booked.size === count);
}

const BAD_REQUESTS: [what: string, kind: string, text: RegExp][] = [
  ["warn", "broken", /the worker printed to stdout: "Warning: Division by zero/],
  ["crc", "broken", /./],
  ["huge", "broken", /./],
  ["context", "broken", /context/],
  ["options", "broken", /option/],
  ["cut", "broken", /wrong checksum/],
  ["exit 9", "died", /exited with code 9/],
  ["exit 0", "died", /exited with code 0/],
  ["kill", "died", /was killed by SIGKILL/],
  ["half", "died", /was killed by SIGKILL after .*, in the middle of an answer/],
  ["leak", "died", /exited with code 255/],
  ["halfstream", "worker_error", /boom/],
];

for (const [what, kind, text] of BAD_REQUESTS) {
  Deno.test(`a worker that answers with "${what}" is replaced`, async () => {
    await using bench = new Bench();
    const pool = await bench.pool();
    assertEquals(await told(pool, "echo", "before"), "before");
    const error = await refusal(pool, what);
    assertEquals(error.kind, kind);
    assertMatch(error.message, text);
    await whole(bench, pool);
    const [event] = bench.events("worker_failed");
    assertMatch(event.error, text);
    assertEquals(event.doing, what);
  });
}

Deno.test("a second answer ends the worker before it can be anybody's", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1 });
  assertEquals(await told(pool, "twice"), "first");
  await until("it is known", () => bench.events("worker_failed").length === 1);
  assertMatch(bench.events("worker_failed")[0].error, /nobody asked for: "oksecond"/);
  assertEquals(await told(pool, "echo", "mine"), "mine");
});

for (const [what, words] of [["text", ""], ["a part of a frame", " 5"]]) {
  Deno.test(`who sends ${what} that nobody asked for gets no request from its first byte on`, async () => {
    await using bench = new Bench();
    const gate = bench.fifo("gate");
    // What it says is collected all through the test.
    const clock = fast(bench.system.clock, 0.001);
    const pool = bench.open(bench.spec(), { ...bench.host, clock });
    await pool.start(never);
    const late = await told(pool, `late ${gate.path}${words}`);
    assertEquals(pool.snapshot().idle, 2);
    gate.release();
    await until("it is noticed", () => pool.snapshot().idle === 1);
    for (let i = 0; i < 4; i++) assertNotEquals(await told(pool, "pid"), late);
    assertEquals([pool.snapshot().errors, bench.events("worker_failed")], [0, []]);
  });

  Deno.test(`who sends ${what} that nobody asked for is replaced`, async () => {
    await using bench = new Bench();
    const gate = bench.fifo("gate");
    const pool = await bench.pool();
    await told(pool, `late ${gate.path}${words}`);
    gate.release();
    await until("it is known", () => bench.events("worker_failed").length === 1);
    const [{ how, error, doing }] = bench.events("worker_failed");
    assertEquals([how, doing], ["broken", undefined]);
    assertMatch(error, /printed to stdout: "Notice: too late"|a part of what nobody asked for/);
    await whole(bench, pool);
    assertEquals(pool.snapshot().replaced, { broken: 1 });
  });
}

Deno.test("a worker that dies idle is replaced", async () => {
  await using bench = new Bench();
  const pool = await bench.pool();
  assertEquals(await told(pool, "echo"), "");
  const [{ pid }] = pool.workers();
  Deno.kill(pid, "SIGKILL");
  await until("it is known", () => bench.events("worker_failed").length === 1);
  assertEquals(bench.events("worker_failed")[0].doing, undefined);
  await whole(bench, pool);
  assertEquals(pool.snapshot().replaced, { died: 1 });
});

Deno.test("an error answer costs only its request", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1 });
  const pid = await told(pool, "pid");
  const error = await refusal(pool, "error boom");
  assertEquals([error.kind, error.message], ["worker_error", "boom"]);
  assertEquals(await told(pool, "pid"), pid);
  assertEquals(bench.events("worker_failed"), []);
});

Deno.test("what a worker forked goes with it", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1 });
  const child = await told(pool, "fork");
  assert(bench.runs(child));
  await refusal(pool, "exit 1");
  await until("the child is gone", () => !bench.runs(child));
  const second = await told(pool, "fork");
  assertEquals(await pool.destroy(), []);
  assert(!bench.runs(second));
});

Deno.test("exec_ttl: the request is given up, and the worker ended although it ignores SIGTERM", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ supervisor: { exec_ttl: 300 } });
  await Promise.all([told(pool, "term"), told(pool, "term")]);
  const error = await refusal(pool, "hang");
  assertEquals(error.kind, "timeout");
  assertMatch(error.message, /exec_ttl \(300ms\)/);
  const late = pool.workers().find(({ pid }) => pid === error.pid);
  assertEquals(late?.state, "execTTLReached");
  pool.hurry(0);
  await whole(bench, pool);
});

Deno.test("a request's own limit counts for it alone, and before exec_ttl", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ supervisor: { exec_ttl: 60_000 } });
  const request = { flags: 0, context: new TextEncoder().encode("hang"), body: [], what: "hang" };
  const error = await pool.call({ ...request, exec_ttl: 200 }).answer.catch((error) => error);
  assertEquals([error.kind, error.message], [
    "timeout",
    "the worker did not answer within the request's own 200ms",
  ]);
  const hanging = pool.call(request);
  await until("another one hangs", () => pool.snapshot().busy === 1);
  assert(!hanging.waiting);
  pool.hurry(0);
  const given = hanging.answer.catch(({ kind }) => kind);
  await pool.destroy();
  assertEquals(await given, "destroyed");
});

Deno.test("a worker that does not read is found by the time its request takes to be written", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1, allocate_timeout: 1_000 }, ["noread"]);
  const error = await refusal(pool, "echo", "x".repeat(1_000_000));
  assertEquals(error.kind, "died");
  assertMatch(error.message, /stopped reading/);
  await until("another one is there", () => pool.snapshot().idle === 1);
});

// Starts that fail.

const BAD_STARTS: [args: string[], why: RegExp, fix: RegExp][] = [
  [["exit"], /exited with code 3 after .*before it had answered the handshake/, /by hand/],
  [["warn"], /printed to stdout: "PHP Warning: Undefined variable/, /display_errors=stderr/],
];

for (const [args, why, fix] of BAD_STARTS) {
  Deno.test(`a pool whose workers ${args[0]} does not start, and nothing of it is left`, async () => {
    await using bench = new Bench();
    const pool = bench.open(bench.spec({}, args));
    const error = await failure(pool.start(never));
    assertMatch(error.message, why);
    assertMatch(error.fix!, fix);
    assertEquals(bench.booked.size, 0);
    assertEquals(pool.snapshot().state, "stopped");
  });
}

Deno.test("a failed start tells what was run and what it said last, and no secret", async () => {
  await using bench = new Bench();
  const error = await failure(bench.open(bench.spec({ num_workers: 1 }, ["exit"])).start(never));
  const { detail } = error;
  assertEquals(detail?.cwd, bench.dir);
  assertEquals(detail?.exit_code, 3);
  assertEquals(detail?.stderr, ["no database today"]);
  assertEquals(detail?.env_keys, ["PATH", "RR_RELAY", "SECRET"]);
  assert(!JSON.stringify([bench.told, detail]).includes("hunter2"));
});

Deno.test("a wrong path is named", async () => {
  await using bench = new Bench();
  const spec = bench.spec({ num_workers: 1 });
  spec.worker.argv = ["php", "worker.php"];
  spec.worker.command = "php worker.php";
  const error = await failure(bench.open(spec).start(never));
  assertStringIncludes(error.message, "Could not open input file: worker.php");
  assertStringIncludes(error.fix!, bench.dir);
  assertEquals(error.detail?.stdout, ["Could not open input file: worker.php"]);
});

Deno.test("a program that is not there is named", async () => {
  await using bench = new Bench();
  const spec = bench.spec({ num_workers: 1 });
  spec.worker.argv = ["no-such-program"];
  const error = await failure(bench.open(spec).start(never));
  assertMatch(error.message, /worker "http#0" did not start: .*no-such-program/);
});

Deno.test("a worker that never answers the handshake is killed after allocate_timeout", async () => {
  await using bench = new Bench();
  const pool = bench.open(bench.spec({ num_workers: 1, allocate_timeout: 500 }, ["mute"]));
  const error = await failure(pool.start(never));
  assertMatch(error.message, /not ready within allocate_timeout \(500ms\)/);
  assertEquals(bench.booked.size, 0);
});

Deno.test("a start that is not wanted any more ends, and nothing is left", async () => {
  await using bench = new Bench();
  const pool = bench.open(bench.spec({}, ["mute"]));
  const end = new AbortController();
  const started = pool.start(end.signal).catch((error) => error);
  await until("both run", () => bench.booked.size === 2);
  end.abort("enough");
  assertEquals(await soon("the end", started), "enough");
  assertEquals(bench.booked.size, 0);
});

// Crash loops.

Deno.test("workers that die of every request: requests fail, the pool goes on, slower and slower", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1 }, ["dies"]);
  for (let n = 0; n < 4; n++) assertEquals((await refusal(pool, "echo")).kind, "died");
  assertEquals(bench.events("pool_failing").length, 1);
  const { state, reason, next_try_at } = pool.snapshot();
  assertEquals(state, "failing");
  assertMatch(reason!, /exited with code 7/);
  assertMatch(next_try_at!, /^\d{4}-/);
});

Deno.test("workers that cannot be started: requests fail in time, and readiness comes back", async () => {
  await using bench = new Bench();
  const switched = bench.write("switch", "");
  const pool = await bench.pool({ num_workers: 1, allocate_timeout: 1_000 }, ["if", switched]);
  let changes = 0;
  pool.onChange(() => changes++);
  Deno.removeSync(switched);
  await refusal(pool, "exit 1");
  await until("it is failing", () => pool.snapshot().state === "failing");
  const error = await refusal(pool, "echo");
  assertEquals(error.kind, "no_worker");
  assertMatch(error.message, /within 1s; the last one failed: .*exited with code 4/);
  assertEquals(pool.alive, 0);
  assert(changes > 0);
  bench.write("switch", "");
  await until("a worker is back", () => pool.alive === 1);
  assertEquals(await told(pool, "echo", "back"), "back");
  assertEquals(pool.snapshot().state, "ready");
  assertEquals(bench.events("pool_recovered").length, 1);
});

Deno.test("stop answers: another worker is asked, but not for ever", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 2 }, ["stops"]);
  const error = await refusal(pool, "echo");
  assertEquals(error.kind, "stopping");
  assertEquals(bench.events("worker_failed"), []);
});
