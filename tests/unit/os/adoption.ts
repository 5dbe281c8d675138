/**
 * What needs a process of its own, because it changes whose children orphans are: run by
 * adoption_test.ts, each case in a fresh process (`deno run adoption.ts NUMBER`).
 */

import { assert, assertEquals } from "@std/assert";
import { Children } from "../../../lib/os/children.ts";
import { isAlive, readRow, readRows } from "../../../lib/os/proc.ts";
import type { Child } from "../../../lib/os/system.ts";
import { Fifo } from "../../kit/gate.ts";
import { Scratch } from "../../kit/scratch.ts";
import { pause, soon, until } from "../../kit/wait.ts";
import { PATH, TestMachine } from "./machine.ts";

/** The cases by title. */
export const cases: [string, () => Promise<void>][] = [];

const test = (title: string, run: () => Promise<void>) => void cases.push([title, run]);

/** Waits until exactly these programs run in the group. */
async function membersAre(
  machine: TestMachine,
  child: Child,
  commands: string[],
): Promise<number[]> {
  const wanted = commands.toSorted().join();
  return await until(`members ${wanted}`, () => {
    const { members } = machine.system.group(child.pid);
    const is = members.map((row) => row.command).sort().join() === wanted;
    return is && members.map((row) => row.pid);
  });
}

const gone = (machine: TestMachine, child: Child) =>
  soon("the group to be gone", machine.system.groupGone(child.pid));

test("orphans come back to us and are buried, whatever they left", async () => {
  using scratch = new Scratch();
  await using fifo = new Fifo(scratch.path("fifo"));
  await using machine = new TestMachine(true);
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

test("zombies that the runtime will reap are left to it while we adopt", async () => {
  await using machine = new TestMachine(true);
  const statuses = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      machine.shell("(sh -c 'exit 0' &) ; exit 0");
      const { code } = await new Deno.Command("/bin/sh", { args: ["-c", `exit ${i}`] }).output();
      return code;
    }),
  );
  assertEquals(statuses, Array.from({ length: 60 }, (_, i) => i));
});

test("a child of the runtime in its own session is left alone when announced", async () => {
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

test("without adopting, orphans go to somebody else", async () => {
  await using machine = new TestMachine(false);
  const unique = `sleep 1007.${Deno.pid}`; // or it might be another test's
  const leader = machine.shell(`(setsid ${unique} &); sleep 1000`);
  const orphan = await until(
    "an orphan",
    () =>
      [...readRows().values()].find((row) =>
        row.command === unique && ![leader.pid, Deno.pid].includes(row.ppid)
      ),
  );
  assert(isAlive(orphan));
  Deno.kill(orphan.pid, "SIGKILL");
});

test("a signal reaches the whole group, other groups of the session, and those that left it", async () => {
  await using machine = new TestMachine(true);
  // timeout makes a process group of its own in the session.
  const script = `timeout 1000 sleep 1001 & setsid sleep 1003 &
    (setsid sh -c 'sleep 1004 & exit' &); wait`;
  const leader = machine.spawn(["sh", "-c", script]);
  // In the middle of exec the command is not known yet.
  const shell = await until("the shell", () => {
    const { command } = readRow(leader.pid)!;
    return !command.startsWith("[") && command;
  });
  const members = await membersAre(machine, leader, [
    shell,
    "timeout 1000 sleep 1001",
    "sleep 1001",
    "sleep 1003",
    "sleep 1004",
  ]);
  assertEquals(new Set(members.map((pid) => readRow(pid)!.pgrp)).size, 4);
  assertEquals(machine.system.signalGroup(machine.id(leader), "SIGTERM"), true);
  await gone(machine, leader);
  assert(members.every((pid) => readRow(pid) === undefined || readRow(pid)!.state === "Z"));
  assertEquals(machine.system.signalGroup(machine.id(leader), "SIGTERM"), false);
});

test("a program that ignores SIGTERM stays; SIGKILL ends it, and what it forks meanwhile", async () => {
  await using machine = new TestMachine(true);
  // Forks for ever, each child in a session of its own.
  const leader = machine.shell(
    `trap '' TERM; while :; do setsid sh -c 'trap "" TERM; sleep 1000' & sleep 0.002; done`,
  );
  await until("some children", () => machine.members(leader).length > 20);
  machine.system.signalGroup(machine.id(leader), "SIGTERM");
  await pause(20);
  assert(machine.members(leader).length > 20);
  machine.system.signalGroup(machine.id(leader), "SIGKILL");
  await gone(machine, leader);
  assertEquals(machine.system.descendants(), []);
});

test("everything below us is known at the end, also what nobody claims", async () => {
  await using machine = new TestMachine(true);
  // A daemon that cleans its environment, two leaders alike: it may be nobody's.
  const leaders = [1, 2].map(() => machine.shell("(env -i setsid /bin/sleep 1005 &); exit 0"));
  await Promise.all(leaders.map((leader) => leader.exited));
  const left = await until("two left", () => {
    const rows = machine.system.descendants();
    return rows.length === 2 && rows.every((row) => row.command.endsWith("sleep 1005")) && rows;
  });
  for (const { pid, start } of left) {
    const id = { pid, start, boot_id: machine.system.bootId };
    assertEquals(machine.system.signal(id, "SIGKILL"), true);
  }
  await until("none left", () => machine.system.descendants().length === 0);
});

test("a daemon that forked away before anybody looked is known by its environment", async () => {
  await using machine = new TestMachine(true);
  const leaders = ["1", "2"].map((I) =>
    machine.shell("(setsid /bin/sleep 1006 &) ; exit 0", { env: { PATH, I } })
  );
  await Promise.all(leaders.map((leader) => leader.exited));
  for (const leader of leaders) {
    await until("its daemon", () => {
      const [row, ...others] = machine.system.group(leader.pid).members;
      return others.length === 0 && row?.command === "/bin/sleep 1006" && row.session === row.pid;
    });
  }
});

if (import.meta.main) await cases[Number(Deno.args[0])][1]();
