/** The driver sqlite on bad days: files that are none of ours, damaged, locked, gone. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { Failure } from "../../../../lib/core/failure.ts";
import { check } from "../../../../plugins/jobs/sqlite/check.ts";
import { SqliteKind } from "../../../../plugins/jobs/sqlite/recipe.ts";
import { Thread } from "../../../../plugins/jobs/sqlite/thread.ts";
import { ManualClock, turn } from "../../../kit/manual_clock.ts";
import { jobOf, settingsOf, takeAll, takeIds, takeOne } from "./conformance/kit.ts";
import { SqliteBench, system } from "./sqlite_kit.ts";

/** What opening says, which names the file. */
async function refused(bench: SqliteBench): Promise<Failure> {
  const error = await assertRejects(() => bench.open(), Failure);
  assertStringIncludes(error.message, `cannot keep jobs in "${bench.file}"`);
  assert(error.fix !== undefined, "it says what to do");
  return error;
}

async function written(bench: SqliteBench): Promise<void> {
  await using driver = await bench.open();
  await driver.push(Array.from({ length: 200 }, () => jobOf({ payload: new Uint8Array(500) })));
}

Deno.test("sqlite: a file of random bytes is refused, and is not touched", async () => {
  await using bench = new SqliteBench();
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  Deno.writeFileSync(bench.file, bytes);
  const { message } = await refused(bench);
  assertStringIncludes(message, "file is not a database");
  assertEquals(Deno.readFileSync(bench.file), bytes);
  const asked = await assertRejects(() => check(bench.file), Failure);
  assertEquals(asked.message, message);
});

Deno.test("sqlite: a damaged file is an answer to whoever uses it, not the end of the daemon", async () => {
  await using bench = new SqliteBench();
  await written(bench);
  const bytes = Deno.readFileSync(bench.file);
  for (let at = 4096; at < bytes.length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(bytes.length, at + 65_536)));
  }
  Deno.writeFileSync(bench.file, bytes);
  await using driver = bench.create();
  const told = await assertRejects(async () => {
    await driver.open();
    await takeAll(driver, 200);
  }, Failure);
  assertStringIncludes(told.message, bench.file);
  assertMatch(told.message, /malformed|damaged|not a database/);
  assertMatch(told.fix ?? "", /copy/);
});

Deno.test("sqlite: a database of another program is refused, and is not touched", async () => {
  await using bench = new SqliteBench();
  const other = new DatabaseSync(bench.file);
  other.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
  other.close();
  const bytes = Deno.readFileSync(bench.file);
  const { message } = await refused(bench);
  assertStringIncludes(message, "it is a database of another program");
  assertEquals(Deno.readFileSync(bench.file), bytes);
  assertEquals((await assertRejects(() => check(bench.file), Failure)).message, message);
});

Deno.test("sqlite: a file of a newer version is refused", async () => {
  await using bench = new SqliteBench();
  await written(bench);
  await bench.restart();
  const db = new DatabaseSync(bench.file);
  db.exec("PRAGMA user_version = 7; PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
  const { message } = await refused(bench);
  assertStringIncludes(message, "a newer version of supervisor wrote it (layout 7, this version");
  assertEquals((await assertRejects(() => check(bench.file), Failure)).message, message);
});

Deno.test("sqlite: a directory that is not there, and one in the place of the file", async () => {
  await using bench = new SqliteBench();
  const { dir } = bench.scratch;
  bench.file = `${dir}/no/jobs.db`;
  const { message, fix } = await refused(bench);
  assertStringIncludes(message, `there is no directory "${dir}/no"`);
  assertEquals(fix, `create it: mkdir -p ${dir}/no`);
  bench.file = bench.scratch.path("jobs.db");
  Deno.mkdirSync(bench.file);
  await refused(bench);
  Deno.removeSync(bench.file);
  await bench.open();
});

Deno.test("sqlite: two daemons on one file: the second hears of the first, and may come after it", async () => {
  await using bench = new SqliteBench();
  await written(bench);
  const other = new SqliteKind({ clock: new ManualClock(), state_dir: bench.scratch.dir, system });
  const settings = settingsOf({ driver: "sqlite", config: { permissions: 0o600 } });
  const driver = await bench.open();
  const late = other.create("other", settings);
  const error = await assertRejects(() => late.open(), Failure);
  assertEquals(
    error.message,
    `cannot keep jobs in "${bench.file}": the process ${Deno.pid} has it in use`,
  );
  assertMatch(error.fix ?? "", /stop that daemon/);
  assertEquals((await driver.stat()).waiting, 200);
  await bench.restart();
  await using next = other.create("other", settings);
  await next.open();
  assertEquals((await next.stat()).waiting, 0);
});

Deno.test("sqlite: pipelines share a file and its thread, under whatever name it goes", async () => {
  await using bench = new SqliteBench();
  await using one = await bench.open("one");
  Deno.symlinkSync(bench.file, bench.scratch.path("link.db"));
  bench.file = bench.scratch.path("link.db");
  await using two = await bench.open("two");
  await two.push([jobOf({ id: "a" })]);
  assertEquals((await one.stat()).waiting, 0);
  await one[Symbol.asyncDispose]();
  assertEquals(await takeIds(two, 5), ["a"]);
});

Deno.test("sqlite: a new file has the permissions that were asked for, and so has its journal", async () => {
  await using bench = new SqliteBench();
  const config = { file: bench.file, permissions: 0o660 };
  const mask = Deno.umask(0o077);
  try {
    await using driver = await bench.open("default", { config });
    await driver.push([jobOf()]);
    for (const file of [bench.file, `${bench.file}-wal`]) {
      assertEquals(Deno.statSync(file).mode! & 0o777, 0o660, file);
    }
  } finally {
    Deno.umask(mask);
  }
});

Deno.test("sqlite: a file that is removed while open takes no more jobs, and gives what it has", async () => {
  await using bench = new SqliteBench();
  await using driver = await bench.open();
  let changes = 0;
  driver.onState = () => changes++;
  await driver.push(["a", "b"].map((id) => jobOf({ id })));
  const one = await takeOne(driver);
  const kept = bench.scratch.path("kept.db");
  Deno.renameSync(bench.file, kept);
  // Both are in one transaction: what is refused does not take the other with it.
  const [pushed, settled] = await Promise.allSettled([
    driver.push([jobOf({ id: "c" })]),
    driver.settle(one, { kind: "ack" }),
  ]);
  assertEquals(settled.status, "fulfilled");
  assert(pushed.status === "rejected");
  const { message, fix } = pushed.reason as Failure;
  assertEquals(
    message,
    `cannot store jobs in "${bench.file}": it was removed or replaced while it was open`,
  );
  assertEquals(fix, "put it back, or start the daemon again");
  const { state } = driver;
  assert(state.state === "connecting" && state.next_try_at !== undefined);
  assertStringIncludes(state.error ?? "", "removed or replaced");
  assertEquals(changes, 1);
  assertEquals(await takeIds(driver, 1), ["b"]);
  Deno.renameSync(kept, bench.file);
  await bench.pass(250);
  assertEquals(driver.state, { state: "ready" });
  await driver.push([jobOf({ id: "d" })]);
});

Deno.test("sqlite: somebody else's lock is waited for", async () => {
  await using bench = new SqliteBench();
  await using driver = await bench.open();
  const other = new DatabaseSync(bench.file);
  other.exec("BEGIN IMMEDIATE");
  const pushing = driver.push([jobOf()]);
  for (let i = 0; i < 100; i++) await turn();
  other.exec("COMMIT");
  other.close();
  await pushing;
  assertEquals((await driver.stat()).waiting, 1);
});

Deno.test("sqlite: a copy that is made while the file is open is whole", async () => {
  await using bench = new SqliteBench();
  await using driver = await bench.open();
  await driver.push(["a", "b", "c"].map((id) => jobOf({ id })));
  const one = await takeOne(driver);
  const other = new DatabaseSync(bench.file);
  other.prepare("VACUUM INTO ?").run(bench.scratch.path("copy.db"));
  other.close();
  await driver.settle(one, { kind: "ack" });
  bench.file = bench.scratch.path("copy.db");
  await using copy = await bench.open();
  assertEquals((await takeAll(copy, 3)).map(({ id }) => id), ["a", "b", "c"]);
});

Deno.test("sqlite: the question of doctor makes nothing and changes nothing", async () => {
  await using bench = new SqliteBench();
  await check(bench.file);
  assertEquals([...Deno.readDirSync(bench.scratch.dir)], []);
  await using driver = await bench.open();
  await check(bench.file);
  await driver.push([jobOf()]);
  const gone = bench.scratch.path("gone", "jobs.db");
  const { message } = await assertRejects(() => check(gone), Failure);
  assertStringIncludes(message, "there is no directory");
});

Deno.test("sqlite: a thread that breaks is told, and does not take the daemon with it", async () => {
  const thread = new Thread();
  const ended = Promise.withResolvers<string>();
  thread.onEnd = ended.resolve;
  // Orders before there is a file: it breaks.
  const { message } = await assertRejects(() => thread.first({ now: 0, orders: [] }), Failure);
  assertStringIncludes(message, "cannot start a thread for jobs");
  assertMatch(await ended.promise, /TypeError/);
  thread.kill();
});
