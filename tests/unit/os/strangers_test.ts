/** Processes of others: held, verified, signalled, awaited; real ones. */

import { assert, assertEquals } from "@std/assert";
import { realClock } from "../../../lib/os/clock.ts";
import { type Stranger, strangers } from "../../../lib/os/strangers.ts";
import { Spawned } from "../../kit/spawned.ts";
import { until } from "../../kit/wait.ts";

const { table, end } = strangers(realClock);

/** A program and its row. */
async function started(script: string): Promise<{ program: Spawned; row: Stranger }> {
  const program = new Spawned(["/bin/sh", "-c", `${script}; echo up; while :; do sleep 1; done`]);
  await program.printed(/up/);
  return { program, row: table().get(program.pid)! };
}

Deno.test("the table shows whole command lines and owners", async () => {
  const words = ["/bin/sh", "-c", "echo up; while :; do sleep 1; done", "x".repeat(10_000)];
  await using program = new Spawned(words);
  await program.printed(/up/);
  const { argv, uid, ppid } = table().get(program.pid)!;
  assertEquals(argv, words);
  assertEquals([uid, ppid], [Deno.uid(), Deno.pid]);
});

Deno.test("a number with another start time is not signalled", async () => {
  const { program, row } = await started(":");
  await using _program = program;
  const { left } = await end([{ ...row, start: "1" }], "SIGKILL", 0);
  assertEquals(left, []);
  assert(table().has(program.pid));
});

Deno.test("SIGTERM ends it at once, a stopped one too; who stays is left", async () => {
  const soft = await started(":");
  const deaf = await started("trap '' TERM");
  await using _soft = soft.program;
  await using _deaf = deaf.program;
  soft.program.kill("SIGSTOP");
  await until("the stop", () => stateOf(soft.program.pid) === "T");
  // The soft one is gone long before this limit; the wait is for the deaf one alone.
  const first = await end([soft.row], "SIGTERM", 60_000);
  assertEquals(first, { left: [], denied: [] });
  assertEquals(await end([deaf.row], "SIGTERM", 50), { left: [deaf.row], denied: [] });
  assertEquals(await end([deaf.row, soft.row], "SIGKILL", 60_000), { left: [], denied: [] });
});

function stateOf(pid: number): string {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2)[0];
}
