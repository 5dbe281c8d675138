/** The driver sqlite: what every driver does, and what only it does. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CAN } from "../../../../plugins/jobs/sqlite/driver.ts";
import { jobOf, takeAll, takeIds } from "./conformance/kit.ts";
import { Outbox } from "../../../../plugins/jobs/sqlite/outbox.ts";
import { conformance } from "./conformance/suite.ts";
import { SqliteBench } from "./sqlite_kit.ts";

conformance({ name: "sqlite", can: CAN, bench: () => new SqliteBench() });

Deno.test("sqlite: jobs that are taken but not ended take no more than so much memory", async () => {
  await using bench = new SqliteBench();
  await using driver = await bench.open();
  const payload = new Uint8Array(50_000_000);
  for (const id of ["a", "b", "c", "d"]) await driver.push([jobOf({ id, payload })]);
  const [a] = await takeAll(driver, 3);
  const fourth = takeIds(driver, 1);
  // The first is asked together with the take, the second after it.
  for (let i = 0; i < 2; i++) assertEquals((await driver.stat()).waiting, 1);
  await driver.settle(a, { kind: "ack" });
  assertEquals(await fourth, ["d"]);
});

Deno.test("sqlite: jobs that come for somebody who has just left wait again", async () => {
  await using bench = new SqliteBench();
  await using driver = await bench.open();
  await driver.push([jobOf({ id: "a" })]);
  const end = new AbortController();
  const refused = assertRejects(() => driver.take(1, end.signal), Error, "enough");
  // It is on its way now, and so will be the job.
  await Promise.resolve();
  end.abort(new Error("enough"));
  await refused;
  for (let i = 0; i < 2; i++) await driver.stat();
  assertEquals(await driver.stat(), { waiting: 1, delayed: 0, reserved: 0, dead: 0 });
});

Deno.test("sqlite: a job that was taken and is handed back by the end of its pipeline waits for the next", async () => {
  await using bench = new SqliteBench();
  await using other = await bench.open("other");
  const before = await bench.open();
  await before.push([jobOf({ id: "a" })]);
  assertEquals(await takeIds(before, 1), ["a"]);
  await before[Symbol.asyncDispose]();
  // The file stayed open, for the other pipeline.
  await using after = await bench.open();
  assertEquals(await takeIds(after, 1), ["a"]);
  assertEquals((await other.stat()).waiting, 0);
});

Deno.test("sqlite: what waits for the disk is bounded, and goes out in parts", () => {
  const outbox = new Outbox();
  const push = (n: number) => ({ do: "push" as const, n, pipeline: 1, jobs: [] });
  const MB = 1024 * 1024;
  const big = { order: push(0), size: 300 * MB };
  assertEquals(outbox.full(big.size), undefined, "one may be as big as it is");
  outbox.add(big);
  assertEquals(outbox.full(1), "1 pushes of 300 MiB wait to be written already");
  assertEquals(outbox.batch(), [big.order]);
  const some = Array.from({ length: 8 }, (_, n) => push(n));
  for (const order of some) outbox.add({ order, size: 30 * MB });
  assertEquals(outbox.full(30 * MB), "8 pushes of 240 MiB wait to be written already");
  assertEquals([outbox.remove(some[1]), outbox.remove(some[1])], [true, false]);
  assertEquals(outbox.full(30 * MB), undefined);
  assertEquals(outbox.batch(), [some[0]]);
  const small = { do: "stat" as const, n: 9, pipeline: 1 };
  outbox.add({ order: small, size: 0 });
  for (let n = 2; n < 7; n++) assertEquals(outbox.batch(), [some[n]]);
  assertEquals(outbox.batch(), [some[7], small]);
  assert(outbox.isEmpty);
});
