/** The driver sqlite and time: clocks that jump, files that were closed meanwhile, keys that expire. */

import { assertEquals } from "@std/assert";
import { jobOf, takeAll, takeIds } from "./conformance/kit.ts";
import { SqliteBench } from "./sqlite_kit.ts";

const HOUR = 3_600_000;

Deno.test("sqlite: a wall clock that jumps moves no job", async () => {
  await using bench = new SqliteBench();
  await using driver = await bench.open();
  await driver.push([jobOf({ delay: 60_000 })]);
  bench.clock.jumpWall(-HOUR);
  await bench.pass(59_000);
  assertEquals((await driver.stat()).delayed, 1);
  bench.clock.jumpWall(2 * HOUR);
  await bench.pass(999);
  assertEquals((await driver.stat()).delayed, 1);
  await bench.pass(1);
  assertEquals((await driver.stat()).waiting, 1);
});

Deno.test("sqlite: a wall clock that was put back while nobody was there strands no job", async () => {
  await using bench = new SqliteBench();
  const before = await bench.open("default", { unique: { window: 60_000 } });
  await before.push([jobOf({ id: "late", delay: 60_000 }), jobOf({ id: "a", unique: "k" })]);
  await takeAll(before, 1);
  await bench.restart();
  bench.clock.jumpWall(-24 * HOUR);
  const after = await bench.open("default", { unique: { window: 60_000 } });
  assertEquals(await takeIds(after, 5), ["a"]);
  const taking = takeIds(after, 5);
  await bench.pass(59_999);
  assertEquals((await after.stat()).delayed, 1);
  await after.push([jobOf({ id: "b", unique: "k" })]);
  await bench.pass(1);
  assertEquals(await taking, ["late"]);
  await after.push([jobOf({ id: "c", unique: "k" })]);
  assertEquals(await takeIds(after, 5), ["c"]);
});

Deno.test("sqlite: what fell due while nobody was there is taken at once", async () => {
  await using bench = new SqliteBench();
  const before = await bench.open();
  await before.push([jobOf({ id: "a", delay: HOUR }), jobOf({ id: "b", delay: 3 * HOUR })]);
  await bench.restart();
  bench.clock.jumpWall(2 * HOUR);
  const after = await bench.open();
  assertEquals(await takeIds(after, 5), ["a"]);
  assertEquals((await after.stat()).delayed, 1);
});

Deno.test("sqlite: keys of unique jobs outlive the daemon", async () => {
  await using bench = new SqliteBench();
  const unique = { window: 60_000 };
  const before = await bench.open("default", { unique });
  await before.push([jobOf({ id: "a", unique: "k\0 \ud800" })]);
  await bench.restart();
  const after = await bench.open("default", { unique });
  await after.push([jobOf({ id: "b", unique: "k\0 \ud800" }), jobOf({ id: "c", unique: "k\0" })]);
  assertEquals((await takeAll(after, 2)).map(({ id }) => id), ["a", "c"]);
});

Deno.test("sqlite: texts of any kind come out as they went in", async () => {
  await using bench = new SqliteBench();
  await using driver = await bench.open("Ünï/Code.Mail:x@y-1");
  const odd = { id: "a\0b", name: 'App\\"\ud800', headers: { "\0": ["\udfff", ""] } };
  await driver.push([jobOf(odd), jobOf(odd)]);
  const [one, other] = await takeAll(driver, 2);
  await driver.settle(one, { kind: "dead", error: "no\0way" });
  await driver.settle(other, { kind: "again", delay: 0, attempt: 2, headers: {}, error: "\0" });
  const [{ id, name, headers, error }] = await driver.dead(5);
  assertEquals({ id, name, headers, error }, { ...odd, error: "no\0way" });
  assertEquals((await takeAll(driver, 1))[0].error, "\0");
  assertEquals(await driver.retry("a\0b"), true);
});
