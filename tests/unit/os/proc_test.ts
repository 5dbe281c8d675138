import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  commandOf,
  environOf,
  isAlive,
  parseStat,
  readRow,
  readRows,
} from "../../../lib/os/proc.ts";
import { Scratch } from "../../kit/scratch.ts";
import { until } from "../../kit/wait.ts";
import { TestMachine } from "./machine.ts";

const stat = (name: string, state = "S", threads = 1) =>
  `42 (${name}) ${state} 1 40 39 0 -1 4194560 53 0 0 0 7 8 0 0 20 0 ${threads} 0 123456 2703360 306 1 2`;

Deno.test("parseStat takes names as data", () => {
  for (const name of ["a", "a b", "a) R 9 9 9 (b", "a\nb) Z", "((", "))", ""]) {
    const row = parseStat(stat(name))!;
    assertEquals([row.pid, row.ppid, row.pgrp, row.session], [42, 1, 40, 39], name);
    assertEquals([row.state, row.start, row.cpu_ticks], ["S", "123456", 15], name);
    assert(row.rss_bytes >= 306 * 4096);
  }
});

Deno.test("parseStat refuses what is no stat line", () => {
  for (const text of ["", "42", "42 (sh) S 1 2", "x", "42 )sh( S"]) {
    assertEquals(parseStat(text), undefined);
  }
});

Deno.test("a process whose first thread ended lives on in the others", () => {
  assertEquals(isAlive(parseStat(stat("a", "Z"))!), false);
  assertEquals(isAlive(parseStat(stat("a", "Z", 2))!), true);
});

Deno.test("a process with spaces, brackets and newlines in its name is read right", async () => {
  using scratch = new Scratch();
  await using machine = new TestMachine();
  const program = scratch.path("a) R 1\n(b c");
  Deno.copyFileSync("/bin/sleep", program);
  const child = machine.spawn([program, "1000\nx"], {});
  const other = machine.spawn([program, "1000"], {});
  await child.exited; // sleep refuses the number: the name is what matters
  const row = readRows().get(other.pid)!;
  assertEquals([row.pgrp, row.session, row.ppid], [other.pid, other.pid, Deno.pid]);
  assertEquals(row.start, other.start);
  await until("the command line", () => commandOf(other.pid)?.endsWith("(b c 1000"));
  assert(!row.command.includes("\n"));
});

Deno.test("a command line is shortened and printable", async () => {
  await using machine = new TestMachine();
  const child = machine.spawn(["/bin/sleep", "1000", ...Array(500).fill("0\t0")]);
  await child.exited; // refused by sleep
  const long = machine.shell("read x </dev/fd/9 9<&0; sleep 1000", {});
  await until("a row", () => readRow(long.pid));
  assertEquals(readRow(Deno.pid)!.command.length <= 200, true);
});

Deno.test("a zombie shows its name in brackets, and is not alive", async () => {
  await using machine = new TestMachine();
  // The parent never waits: its child stays a zombie as long as it lives.
  const parent = machine.shell("sleep 0 & exec sleep 1000");
  const zombie = await until(
    "a zombie",
    () => [...readRows().values()].find((row) => row.ppid === parent.pid && row.state === "Z"),
  );
  assertEquals([isAlive(zombie), zombie.command], [false, "[sleep]"]);
  assertEquals(machine.members(parent), [parent.pid]);
});

Deno.test("environOf reads what a process was started with; a missing process reads as absent", async () => {
  await using machine = new TestMachine();
  const child = machine.spawn(["sleep", "1000"], { env: { PATH: "/bin", "a.b": "c=d\ne" } });
  const environ = await until("its environment", () => {
    const pairs = environOf(child.pid);
    return pairs?.length ? pairs : undefined; // empty in the middle of exec
  });
  assertEquals(environ.sort(), ["PATH=/bin", "a.b=c=d\ne"]);
  assertEquals(environOf(2 ** 22 + 1), undefined);
  assertEquals(readRow(2 ** 22 + 1), undefined);
  assertEquals(commandOf(2 ** 22 + 1), undefined);
});

Deno.test("our own row says who we are", () => {
  const row = readRow(Deno.pid)!;
  assertEquals(row.ppid, Deno.ppid);
  assertStringIncludes(row.command, "deno");
});
