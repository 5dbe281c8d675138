/** The table of drivers says of each what it says of itself. */

import { assertEquals } from "@std/assert";
import { DRIVERS } from "../../../lib/config/roadrunner/drivers/mod.ts";
import type { DriverName } from "../../../lib/config/roadrunner/jobs.ts";
import { recipeOf } from "../../../plugins/jobs/drivers.ts";
import { ROOT } from "../../../scripts/lib/project.ts";

Deno.test("the table of drivers of jobs says what each can", async () => {
  const text = Deno.readTextFileSync(`${ROOT}/docs/jobs-drivers.md`);
  const [, table] = /\n(\| Driver[^]*?)\n\n/.exec(text)!;
  const rows = table.split("\n").slice(2).map((row) => row.split("|").slice(1, -1).map(trim));
  const told = rows.map(([name, , , ...can]) => [/`(\w+)`/.exec(name)![1], ...can.slice(0, 5)]);
  const isSo = await Promise.all([...DRIVERS.keys()].map(async (name) => {
    const { durable, delay, priority, dead, unique } = (await recipeOf(name as DriverName)).can;
    const can = [durable, delay, priority, dead, unique];
    return [name, ...can.map((is) => is ? "yes" : "no")];
  }));
  assertEquals(told.toSorted(), isSo.toSorted());
});

const trim = (cell: string) => cell.trim();
