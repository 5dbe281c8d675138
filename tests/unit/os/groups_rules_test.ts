/** The rules of groups at moments that real processes cannot be caught in. */

import { assert, assertEquals } from "@std/assert";
import { Groups } from "../../../lib/os/groups.ts";
import type { ExitStatus } from "../../../lib/os/system.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { FakeKernel, row, US } from "./fake_kernel.ts";

const BOOT = "boot";

function setUp(...rows: Parameters<FakeKernel["put"]>) {
  const clock = new ManualClock();
  const kernel = new FakeKernel(...rows);
  const groups = new Groups(clock, BOOT, kernel);
  const exits = new Map<number, (status: ExitStatus) => void>();
  /** Tracks a leader that is in the table. */
  const track = (pid: number, environment?: string[]) => {
    const { promise, resolve } = Promise.withResolvers<ExitStatus>();
    exits.set(pid, resolve);
    const { start } = kernel.table.get(pid)!;
    groups.track({ pid, start, environment }, promise);
    return { pid, start, boot_id: BOOT };
  };
  const exit = (pid: number) => {
    kernel.end(pid);
    exits.get(pid)!({ code: 0, signal: null });
  };
  /** Follows a wait. */
  const wait = (pid: number, signal?: AbortSignal) => {
    const state = { over: false };
    groups.gone(pid, signal).then(() => state.over = true, () => {});
    return state;
  };
  const pids = (leader: number) => groups.members(leader).map((one) => one.pid).sort();
  return { clock, kernel, groups, track, exit, wait, pids };
}

Deno.test("one empty scan proves nothing: a child forked during it is found by the next", async () => {
  const { clock, kernel, groups, track, exit, wait } = setUp(row(20));
  track(20);
  const waiting = wait(20);
  await clock.advance(50);
  // While the rows are being read the leader forks and ends.
  kernel.duringScan = () => {
    kernel.put(row(21, { session: 20 }));
    kernel.end(20);
  };
  groups.members(20);
  exit(20);
  await clock.advance(500);
  assertEquals([waiting.over, groups.members(20).map(({ pid }) => pid)], [false, [21]]);
  kernel.end(21);
  await clock.advance(500);
  assertEquals(waiting.over, true);
});

Deno.test("a scan taken before the exit was noticed does not count as the proof's second", async () => {
  const { clock, kernel, track, exit, wait } = setUp(row(20));
  track(20);
  const waiting = wait(20);
  await clock.advance(1000);
  const scans = kernel.scans;
  exit(20);
  await clock.advance(100);
  assertEquals([waiting.over, kernel.scans], [true, scans + 2]);
});

Deno.test("waiting looks at one member of each group and scans only when that has ended", async () => {
  const { clock, kernel, track, wait } = setUp(
    ...Array.from({ length: 50 }, (_, i) => row(100 + i)),
    row(20),
    row(21, { session: 20 }),
  );
  for (const pid of [20, ...Array.from({ length: 50 }, (_, i) => 100 + i)]) track(pid);
  const waits = [20, ...Array.from({ length: 50 }, (_, i) => 100 + i)].map((pid) => wait(pid));
  await clock.advance(100);
  const scans = kernel.scans;
  await clock.advance(10_000);
  assertEquals(kernel.scans, scans, "no scan while every witness lives");
  const looks = kernel.looks;
  await clock.advance(1000);
  assert(kernel.looks - looks <= 51 * 11, "ten ticks a second in the end");
  kernel.end(20);
  await clock.advance(200);
  assertEquals(waits[0].over, false, "21 is still there");
  kernel.end(21);
  await clock.advance(200);
  assertEquals(waits.filter(({ over }) => over).length, 1);
});

Deno.test("nobody waits, nothing ticks", async () => {
  const { clock, kernel, track, wait, exit } = setUp(row(20), row(30));
  track(20);
  track(30);
  assertEquals(clock.pending, 0);
  const controller = new AbortController();
  wait(20, controller.signal);
  await clock.advance(1000);
  assertEquals(clock.pending, 1);
  controller.abort();
  await clock.advance(0);
  assertEquals(clock.pending, 0);
  exit(30); // an end is looked at, waited for or not, until it is clear
  await clock.advance(100);
  assertEquals([clock.pending, kernel.scans > 0], [0, true]);
});

Deno.test("a number that another process carries now is not signalled and has no members", async () => {
  const { clock, kernel, groups, track, pids } = setUp(row(20), row(21, { session: 20 }));
  const id = track(20);
  assertEquals(pids(20), [20, 21]);
  kernel.end(20, 21);
  kernel.put(row(20, { ppid: 1, start: "9999" }), row(22, { session: 20, ppid: 1 }));
  await clock.advance(10);
  assertEquals(groups.signal(id, "SIGKILL"), false);
  assertEquals([pids(20), kernel.sent], [[], []]);
});

Deno.test("a number whose group is gone stays gone, even when its next holder has ended, too", async () => {
  const { clock, kernel, groups, track, exit, wait, pids } = setUp(row(20));
  const id = track(20);
  exit(20);
  await clock.advance(100);
  kernel.put(row(22, { session: 20, ppid: 1 })); // left by a stranger that had the number meanwhile
  assertEquals([pids(20), groups.signal(id, "SIGKILL"), kernel.sent], [[], false, []]);
  const waiting = wait(20);
  await clock.advance(0);
  assertEquals(waiting.over, true);
  // Until we start a program that gets the number.
  kernel.end(22);
  kernel.put(row(20, { start: "9999" }));
  track(20);
  assertEquals(pids(20), [20]);
});

Deno.test("a member whose number was given away since the scan is not signalled", () => {
  const { kernel, groups, track, pids } = setUp(row(20), row(30, { ppid: 20 }));
  const id = track(20);
  assertEquals(pids(20), [20, 30]);
  kernel.put(row(30, { ppid: 1, start: "9999" }));
  assertEquals(groups.signal(id, "SIGTERM"), true);
  assertEquals(kernel.sent, ["-20 SIGTERM"]);
});

Deno.test("a leader that forked and ended since the scan: the child is found and signalled", () => {
  const { kernel, groups, track, pids } = setUp(row(20));
  const id = track(20);
  assertEquals(pids(20), [20]);
  kernel.put(row(21, { session: 20 }));
  kernel.end(20);
  assertEquals(groups.signal(id, "SIGTERM"), true);
  assertEquals(kernel.sent, ["-20 SIGTERM"]);
});

Deno.test("a group that others share is not signalled as a whole, nor is ours", () => {
  const { kernel, groups, track } = setUp(
    row(20),
    row(30, { ppid: 20, session: 25, pgrp: 25 }), // a member in a stranger's group
    row(25, { ppid: 1 }),
    row(31, { ppid: 20, session: US, pgrp: US }),
    row(32, { ppid: 20, session: 1, pgrp: 1 }), // of a group whose negative means everybody
  );
  const id = track(20);
  assertEquals(groups.signal(id, "SIGTERM"), true);
  assertEquals(kernel.sent.sort(), ["-20 SIGTERM", "30 SIGTERM", "31 SIGTERM", "32 SIGTERM"]);
});

Deno.test("SIGKILL is repeated to whoever appears afterwards; SIGTERM is not", async () => {
  const { clock, kernel, groups, track, wait } = setUp(row(20));
  const id = track(20);
  const waiting = wait(20);
  await clock.advance(20);
  kernel.put(row(30, { ppid: 20 })); // leaves for a session of its own while the signal is on its way
  kernel.onKill = (pid) => pid < 0 ? kernel.end(-pid) : kernel.end(pid);
  groups.signal(id, "SIGKILL");
  kernel.put(row(30, { ppid: 20 }));
  await clock.advance(200);
  assert(kernel.sent.includes("-30 SIGKILL"), kernel.sent.join());
  assertEquals(waiting.over, true);

  const other = setUp(row(20), row(21, { session: 20 }));
  const otherId = other.track(20);
  other.wait(20);
  other.groups.signal(otherId, "SIGTERM");
  other.kernel.end(20);
  await other.clock.advance(1000);
  assertEquals(other.kernel.sent, ["-20 SIGTERM"]);
});

Deno.test("all callers of a moment share one scan; a spawn and an exit open a new moment", async () => {
  const { clock, kernel, groups, track, exit, pids } = setUp(row(20), row(30));
  track(20);
  for (let i = 0; i < 10; i++) pids(20);
  assertEquals(kernel.scans, 1);
  track(30);
  assertEquals([pids(30), kernel.scans], [[30], 2]);
  exit(30);
  await Promise.resolve();
  await Promise.resolve();
  assertEquals([pids(30), kernel.scans], [[], 3]);
  await clock.advance(1000);
  const scans = kernel.scans;
  groups.descendants();
  assertEquals(kernel.scans, scans + 1, "later is another moment");
});

Deno.test("signals to a hundred groups in one moment choose from one scan", () => {
  const leaders = Array.from({ length: 100 }, (_, i) => row(100 + i));
  const { kernel, groups, track } = setUp(...leaders);
  const ids = leaders.map(({ pid }) => track(pid));
  for (const id of ids) assertEquals(groups.signal(id, "SIGTERM"), true);
  assertEquals([kernel.scans, kernel.sent.length], [1, 100]);
});

Deno.test("a signal we may not send counts as somebody there", () => {
  const { kernel, groups, track } = setUp(row(20));
  const id = track(20);
  kernel.onKill = () => {
    throw new Deno.errors.PermissionDenied("Operation not permitted (os error 1)");
  };
  assertEquals(groups.signal(id, "SIGTERM"), true);
});

Deno.test("a table that cannot be read just now proves nothing, and is looked at again", async () => {
  const { clock, kernel, track, exit, wait } = setUp(row(20), row(21, { session: 20 }));
  track(20);
  const waiting = wait(20);
  await clock.advance(50);
  kernel.failing = true;
  exit(20);
  await clock.advance(1000);
  assertEquals(waiting.over, false);
  kernel.end(21);
  await clock.advance(1000);
  assertEquals(waiting.over, false);
  kernel.failing = false;
  await clock.advance(1000);
  assertEquals(waiting.over, true);
});
