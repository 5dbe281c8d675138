import { assertEquals } from "@std/assert";
import { Children, decodeStatus } from "../../../lib/os/children.ts";
import { cString, cStrings, libc } from "../../../lib/os/ffi.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { soon } from "../../kit/wait.ts";

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
