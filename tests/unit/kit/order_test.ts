/** Ports, FIFOs and the search for what a test left behind. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Fifo } from "../../kit/gate.ts";
import { freePort, freePorts, freeRange } from "../../kit/ports.ts";
import { program } from "../../kit/programs.ts";
import { Scratch } from "../../kit/scratch.ts";
import { Spawned } from "../../kit/spawned.ts";
import { leftoversOf } from "../../kit/leftovers.ts";
import { until } from "../../kit/wait.ts";

Deno.test("no port is handed out twice, nor one that is taken", () => {
  const first = freePort();
  using _ = Deno.listen({ hostname: "127.0.0.1", port: first + 2 });
  const three = freePorts(3);
  assert(three > first + 2, "a range with a taken port inside was handed out");
  const [from, to] = freeRange(5).split("-").map(Number);
  assertEquals(to - from, 4);
  assert(from > three + 2);
});

Deno.test("two files that load the port kit get different blocks", async () => {
  const kit = new URL("../../kit/ports.ts", import.meta.url).href;
  const script = `console.log((await import(${JSON.stringify(kit)})).freePort())`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--unstable-net", script],
    stdout: "piped",
  }).output();
  const theirs = Number(new TextDecoder().decode(stdout));
  assert(theirs >= 20_000);
  assert(Math.abs(theirs - freePort()) >= 100, "the same block was taken twice");
});

Deno.test("a program waits at a FIFO until it is released, also when released before", async () => {
  using scratch = new Scratch();
  await using gate = new Fifo(scratch.path("gate"));
  await using mail = new Fifo(scratch.path("mail"));
  const script = `echo here >${mail.path}; read -r _ <${gate.path}; echo through >${mail.path}`;
  await using late = new Spawned(["/bin/sh", "-c", script]);
  assertEquals(await mail.line(), "here");
  await assertRejects(() => mail.line(30), Error, "in vain");
  gate.release();
  assertEquals(await mail.line(), "through");
  assertEquals((await late.ended()).code, 0);
  gate.release();
  await using early = new Spawned(["/bin/sh", "-c", script]);
  assertEquals((await early.ended()).code, 0);
});

Deno.test("whoever escaped into its own session is still found as left over", async () => {
  await using spawned = new Spawned(program("escape.sh", "escaped"));
  const escaped = Number(await until("the pid", () => spawned.scratch.read("escaped")?.trim()));
  assert(leftoversOf(spawned.scratch.dir).some(({ pid }) => pid === escaped));
  assertEquals(leftoversOf("/nowhere"), []);
});

Deno.test("the family fixture makes a leader, a child and a grandchild of one group", async () => {
  await using spawned = new Spawned(program("family.sh", "family"));
  const text = await until("the family", () => spawned.scratch.read("family"));
  const pids = text.trim().split("\n").map(Number);
  assertEquals(pids.length, 4);
  assertEquals(pids[0], spawned.pid);
  assertEquals(leftoversOf(spawned.scratch.dir).length >= 4, true);
});
