/** What a pool of real workers does on good days. */

import { assertEquals } from "@std/assert";
import { Bench, told } from "./kit.ts";

Deno.test("workers answer", async () => {
  await using bench = new Bench();
  const pool = await bench.pool();
  assertEquals(await told(pool, "echo", "hello"), "hello");
  assertEquals(pool.alive, 2);
  assertEquals(bench.booked.size, 2);
  assertEquals(await pool.destroy(), []);
  assertEquals(bench.booked.size, 0);
});
