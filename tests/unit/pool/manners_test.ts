/** Workers that answer the question who they are only once. */

import { assertEquals } from "@std/assert";
import { Manners } from "../../../lib/pool/manners.ts";
import { Bench, never, told } from "./kit.ts";

for (const mode of ["plain", "silent"]) {
  Deno.test(`workers that are ${mode} when they are asked again work all the same`, async () => {
    await using bench = new Bench();
    const pool = await bench.pool({ num_workers: 1 }, [mode]);
    assertEquals(bench.events("pool_plain"), []);
    assertEquals(await told(pool, "echo", "one"), "one");
    assertEquals(bench.events("pool_plain"), [{ pool: "http", release: "v1" }]);
    assertEquals(await told(pool, "echo", "two"), "two");
    // From now on nobody is asked, so a new worker is the first that was started.
    assertEquals(await pool.reset(never), 1);
    assertEquals(await told(pool, "echo", "three"), "three");
    assertEquals(bench.events("pool_plain").length, 1);
    assertEquals(bench.events("worker_failed"), []);
    assertEquals(bench.events("worker_start_failed"), []);
  });
}

Deno.test("a worker that fails after its handshake makes no pool plain", async () => {
  await using bench = new Bench();
  const pool = await bench.pool({ num_workers: 1 }, ["dies"]);
  await told(pool, "echo", "x").catch(() => {});
  assertEquals(bench.events("pool_plain"), []);
});

Deno.test("what is known of a pool: nothing, until a worker answers or serves without", () => {
  let plain = 0;
  const answering = new Manners(() => plain++);
  assertEquals([answering.ask, answering.answers], [true, true]);
  answering.answered();
  answering.served(true);
  answering.served(false);
  assertEquals([answering.ask, answering.answers, plain], [false, true, 0]);
  const other = new Manners(() => plain++);
  other.served(false);
  other.served(false);
  assertEquals([other.ask, other.answers, plain], [false, false, 1]);
});
