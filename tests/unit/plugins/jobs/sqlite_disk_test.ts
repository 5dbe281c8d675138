/**
 * The driver sqlite on disks that are full or read-only: file systems of a test's own.
 *
 * Invariant: only where this process may mount; elsewhere the tests are ignored.
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Failure } from "../../../../lib/core/failure.ts";
import type { SqliteDriver } from "../../../../plugins/jobs/sqlite/driver.ts";
import { ManualClock } from "../../../kit/manual_clock.ts";
import { Scratch } from "../../../kit/scratch.ts";
import { jobOf, settleOne, takeIds, takeOne } from "./conformance/kit.ts";
import { SqliteBench } from "./sqlite_kit.ts";

function run(...argv: string[]): boolean {
  return new Deno.Command(argv[0], { args: argv.slice(1), stderr: "null" }).outputSync().success;
}

/** A small file system that ends with its scope. */
class Disk implements Disposable {
  readonly #scratch = new Scratch();
  readonly dir = this.#scratch.dir;
  readonly file = `${this.dir}/jobs.db`;

  constructor() {
    if (!run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", this.dir)) throw new Error("mount");
  }

  /** Takes what room there is. */
  fill(): void {
    using ballast = Deno.openSync(`${this.dir}/ballast`, { create: true, append: true });
    try {
      for (;;) ballast.writeSync(new Uint8Array(4096));
    } catch (error) {
      assertStringIncludes((error as Error).message, "No space");
    }
  }

  /** `ro`, `size=2m` … */
  become(options: string): void {
    assert(run("mount", "-o", `remount,${options}`, this.dir));
  }

  [Symbol.dispose](): void {
    run("umount", "-l", this.dir);
    this.#scratch[Symbol.dispose]();
  }
}

function mayMount(): boolean {
  try {
    using _disk = new Disk();
    return true;
  } catch {
    return false; // not root, or not in here
  }
}

const ignore = !mayMount();

function test(name: string, fn: (bench: SqliteBench, disk: Disk) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      using disk = new Disk();
      await using bench = new SqliteBench(new ManualClock(), disk.file);
      await fn(bench, disk);
      await bench.restart();
    },
  });
}

/** Pushes until there is no more room. @returns how many were stored, and what was said then */
async function fill(driver: SqliteDriver): Promise<{ count: number; error: Failure }> {
  for (let count = 0;; count++) {
    try {
      await driver.push([jobOf({ id: `${count}`, payload: new Uint8Array(20_000) })]);
    } catch (error) {
      return { count, error: error as Failure };
    }
  }
}

test("sqlite: a full disk refuses pushes, loses nothing, and recovers", async (bench, disk) => {
  const driver = await bench.open();
  const { count, error } = await fill(driver);
  assert(count > 0);
  assertEquals(error.message, `cannot store jobs in "${disk.file}": database or disk is full`);
  assertEquals(error.fix, "make room on its file system");
  const { state } = driver;
  assertStringIncludes(state.state === "ready" ? "ready" : state.error ?? "", "full");
  const one = await takeOne(driver);
  assertEquals(one.id, "0");
  disk.fill();
  // What needs room is done when there is some, by itself.
  const settled = driver.settle(one, { kind: "dead", error: "x".repeat(200_000) });
  for (let i = 0; i < 3; i++) assertEquals((await driver.stat()).reserved, 1);
  disk.become("size=3m");
  await bench.pass(5000);
  await settled;
  assertEquals(driver.state, { state: "ready" });
  await driver.push([jobOf({ id: "last" })]);
  await bench.restart();
  // What is there can be worked off, though the journal soon has taken all the room there is.
  Deno.removeSync(`${disk.dir}/ballast`);
  disk.become("size=1m");
  const after = await bench.open();
  const ids = Array.from({ length: count - 1 }, (_, at) => `${at + 1}`);
  assertEquals(await after.stat(), { waiting: count, delayed: 0, reserved: 0, dead: 1 });
  for (const id of [...ids, "last"]) {
    assertEquals((await settleOne(after, { kind: "ack" })).id, id);
  }
});

test("sqlite: on a read-only file system nothing is opened", async (bench, disk) => {
  await using before = await bench.open();
  await before.push([jobOf({ id: "a" })]);
  await bench.restart();
  disk.become("ro");
  const error = await assertRejects(() => bench.open(), Failure);
  assertStringIncludes(error.message, `cannot keep jobs in "${disk.file}"`);
  assertStringIncludes(error.message, "read-only file system");
  assert(error.fix !== undefined);
  disk.become("rw");
  assertEquals(await takeIds(await bench.open(), 1), ["a"]);
});

test("sqlite: a file that cannot be written is refused", async (bench, disk) => {
  await using before = await bench.open();
  await before.push([jobOf({ id: "a" })]);
  await bench.restart();
  assert(run("mount", "--bind", disk.file, disk.file));
  try {
    assert(run("mount", "-o", "remount,ro,bind", disk.file));
    const error = await assertRejects(() => bench.open(), Failure);
    assertStringIncludes(error.message, `cannot keep jobs in "${disk.file}"`);
    assertStringIncludes(error.message, "readonly");
    assertEquals(error.fix, "let this user write the file and its directory");
  } finally {
    run("umount", disk.file);
  }
  assertEquals(await takeIds(await bench.open(), 1), ["a"]);
});
