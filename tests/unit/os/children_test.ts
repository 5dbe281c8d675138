import { assert, assertEquals } from "@std/assert";
import { Children, decodeStatus } from "../../../lib/os/children.ts";
import { cString, cStrings, libc } from "../../../lib/os/ffi.ts";
import { isAlive, readRow, readRows } from "../../../lib/os/proc.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { Scratch } from "../../kit/scratch.ts";
import { Fifo } from "../../kit/gate.ts";
import { soon, until } from "../../kit/wait.ts";
import { TestMachine } from "./machine.ts";

/** Starts a program nobody waits for and returns when it has ended: a zombie of ours. */
function zombie(script: string): number {
  const pid = new Int32Array(1);
  const { pointers, keep } = cStrings(["sh", "-c", script]);
  assertEquals(libc().posix_spawn(pid, cString("/bin/sh"), null, null, pointers, null), 0);
  assertEquals(keep.length, 3);
  const P_PID = 1, WEXITED = 4, WNOWAIT = 0x01000000;
  assertEquals(libc().waitid(P_PID, pid[0], new Uint8Array(128), WEXITED | WNOWAIT), 0);
  return pid[0];
}

Deno.test("decodeStatus reads the status word of wait(2)", () => {
  assertEquals(decodeStatus(0), { code: 0, signal: null });
  assertEquals(decodeStatus(42 << 8), { code: 42, signal: null });
  assertEquals(decodeStatus(9), { code: null, signal: "SIGKILL" });
  assertEquals(decodeStatus(11 | 0x80), { code: null, signal: "SIGSEGV" });
  assertEquals(decodeStatus(64), { code: null, signal: "SIG64" });
});

Deno.test("a child that ended before anybody listened settles at once, not with the next tick", async () => {
  const clock = new ManualClock();
  const children = new Children(clock);
  const exited = children.add(zombie("exit 9"));
  await clock.advance(0);
  assertEquals(await soon("the status", exited), { code: 9, signal: null });
  assertEquals(clock.pending, 0, "nothing to listen for, no timer");
});

Deno.test("a child whose wake-up was lost settles with the next tick", async () => {
  const clock = new ManualClock();
  const children = new Children(clock);
  const living = children.add(0x7fffffff); // keeps the table listening; there is no such child
  await clock.advance(0);
  assertEquals(await living, { code: null, signal: null }, "ended, and nobody knows how");
  const first = children.add(zombie("exit 1"));
  await clock.advance(5_000);
  assertEquals(await first, { code: 1, signal: null });
});

Deno.test("orphans come back to us and are buried, whatever they left", async () => {
  using scratch = new Scratch();
  await using fifo = new Fifo(scratch.path("fifo"));
  await using machine = new TestMachine();
  // Twenty daemons: own session, parents gone, ending when told.
  const script = `i=0; while [ $i -lt 20 ]; do
    setsid sh -c 'sh -c "read x <${fifo.path}" & exit' & i=$((i+1)); done; wait`;
  const leader = machine.shell(script);
  await leader.exited;
  const orphans = await until("twenty orphans", () => {
    const rows = [...readRows().values()].filter((row) =>
      row.ppid === Deno.pid && row.command.includes(fifo.path)
    );
    return rows.length === 20 && rows;
  });
  assertEquals(machine.members(leader).length, 20, "known as the leader's, too");
  fifo.release(20);
  await until("no zombie", () => orphans.every(({ pid }) => readRow(pid) === undefined));
});

Deno.test("zombies that the runtime will reap are left to it while we adopt", async () => {
  await using machine = new TestMachine();
  const statuses = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      machine.shell("(sh -c 'exit 0' &) ; exit 0");
      const { code } = await new Deno.Command("/bin/sh", { args: ["-c", `exit ${i}`] }).output();
      return code;
    }),
  );
  assertEquals(statuses, Array.from({ length: 60 }, (_, i) => i));
});

Deno.test("a child of the runtime in its own session is left alone when announced", async () => {
  const children = new Children();
  children.adoptOrphans();
  try {
    const codes = await Promise.all(Array.from({ length: 30 }, async () => {
      const child = new Deno.Command("/bin/sh", { args: ["-c", "exit 6"], detached: true }).spawn();
      const announced = children.foreign(child.pid);
      const { code } = await child.status;
      announced.done();
      return code;
    }));
    assertEquals(codes, Array(30).fill(6));
  } finally {
    children.disown();
  }
});

Deno.test("without adopting, orphans go to somebody else", async () => {
  await using machine = new TestMachine(false);
  const leader = machine.shell("(setsid sleep 1000 &); sleep 1000");
  const orphan = await until(
    "an orphan",
    () =>
      [...readRows().values()].find((row) =>
        row.session === row.pid && row.command === "sleep 1000" && row.ppid !== leader.pid &&
        row.ppid !== Deno.pid && BigInt(row.start) >= BigInt(leader.start)
      ),
  );
  assert(isAlive(orphan));
  Deno.kill(orphan.pid, "SIGKILL");
});
