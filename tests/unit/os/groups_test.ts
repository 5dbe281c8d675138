/** Groups of real processes. */

import { assertEquals, assertRejects } from "@std/assert";
import { readRow } from "../../../lib/os/proc.ts";
import type { Child } from "../../../lib/os/system.ts";
import { Fifo } from "../../kit/gate.ts";
import { Scratch } from "../../kit/scratch.ts";
import { pause, soon, until } from "../../kit/wait.ts";
import { PATH, TestMachine } from "./machine.ts";

const gone = (machine: TestMachine, child: Child) =>
  soon("the group to be gone", machine.system.groupGone(child.pid));

Deno.test("the group outlives its leader until the last member ends", async () => {
  using scratch = new Scratch();
  await using fifo = new Fifo(scratch.path("fifo"));
  await using machine = new TestMachine();
  const leader = machine.shell(`sh -c 'read x <${fifo.path}' & exit 3`);
  assertEquals(await leader.exited, { code: 3, signal: null });
  let over = false;
  const waiting = machine.system.groupGone(leader.pid).then(() => over = true);
  const [rest] = machine.members(leader);
  await pause(30);
  assertEquals([over, readRow(rest)!.session], [false, leader.pid]);
  assertEquals(machine.system.alive(machine.id(leader)), false);
  fifo.release();
  await soon("the group to be gone", waiting);
});

Deno.test("a zombie leader with living members is not gone; zombies alone are", async () => {
  await using machine = new TestMachine();
  // The inner shell's child stays a zombie in the group for as long as the sleeper lives.
  const leader = machine.shell("sleep 0 & exec sleep 1000");
  await until("a zombie in the group", () => {
    const rows = machine.system.group(leader.pid).members;
    return rows.length === 1 && rows[0].command === "sleep 1000";
  });
  machine.system.signalGroup(machine.id(leader), "SIGKILL");
  await gone(machine, leader);
});

Deno.test("a stopped program hears that it shall end", async () => {
  await using machine = new TestMachine();
  const leader = machine.spawn(["sleep", "1000"]);
  Deno.kill(leader.pid, "SIGSTOP");
  await until("it is stopped", () => readRow(leader.pid)!.state === "T");
  machine.system.signalGroup(machine.id(leader), "SIGTERM");
  assertEquals(await soon("its end", leader.exited), { code: null, signal: "SIGTERM" });
});

Deno.test("a hundred groups waited for at once end each when it ends", async () => {
  await using machine = new TestMachine();
  const leaders = Array.from(
    { length: 100 },
    (_, i) => machine.spawn(["sleep", "1000"], { env: { PATH, I: String(i) } }),
  );
  const ended = new Set<number>();
  const waits = leaders.map((leader) =>
    machine.system.groupGone(leader.pid).then(() => ended.add(leader.pid))
  );
  const [first, ...others] = leaders;
  machine.system.signalGroup(machine.id(first), "SIGTERM");
  await soon("the first", waits[0]);
  assertEquals([...ended], [first.pid]);
  for (const leader of others) machine.system.signalGroup(machine.id(leader), "SIGKILL");
  await soon("all", Promise.all(waits));
  assertEquals(ended.size, 100);
});

Deno.test("waiting ends with its signal, and another waiter goes on waiting", async () => {
  await using machine = new TestMachine();
  const leader = machine.spawn(["sleep", "1000"]);
  const controller = new AbortController();
  const patient = machine.system.groupGone(leader.pid);
  const hasty = machine.system.groupGone(leader.pid, controller.signal);
  controller.abort(new Error("enough"));
  await assertRejects(() => hasty, Error, "enough");
  await assertRejects(
    () => machine.system.groupGone(leader.pid, controller.signal),
    Error,
    "enough",
  );
  machine.system.signalGroup(machine.id(leader), "SIGKILL");
  await soon("the patient one", patient);
});

Deno.test("who identifies as somebody else is never signalled", async () => {
  await using machine = new TestMachine();
  const leader = machine.spawn(["sleep", "1000"]);
  const id = machine.id(leader);
  const other = String(BigInt(id.start) - 1n);
  assertEquals(machine.system.signalGroup({ ...id, start: other }, "SIGKILL"), false);
  assertEquals(machine.system.signalGroup({ ...id, boot_id: "another boot" }, "SIGKILL"), false);
  assertEquals(machine.system.signal({ ...id, start: other }, "SIGKILL"), false);
  assertEquals(machine.system.alive({ ...id, start: other }), false);
  assertEquals(machine.system.alive({ ...id, boot_id: "another boot" }), false);
  assertEquals([machine.system.alive(id), machine.system.identify(id.pid)], [true, id]);
});

Deno.test("a group of a former daemon is known by its leader, or by its mark when that is gone", async () => {
  await using machine = new TestMachine(false);
  await using later = new TestMachine(false); // has started nothing, as a new daemon
  const mark = `MARK=${crypto.randomUUID()}`;
  const env = { PATH, MARK: mark.slice(5) };
  const living = machine.spawn(["sleep", "1000"], { env });
  assertEquals(later.system.group(living.pid).members.map((row) => row.pid), [living.pid]);
  assertEquals(later.system.signalGroup(machine.id(living), "SIGTERM"), true);
  await soon("its end, seen by another", later.system.groupGone(living.pid));

  const left = machine.shell("sleep 1000 & exit", { env });
  await left.exited;
  const id = machine.id(left);
  // Its table may be the one of a moment ago: nothing told it of what another daemon does.
  await until("one member", () => later.system.group(left.pid).members.length === 1);
  assertEquals(later.system.signalGroup(id, "SIGTERM"), false, "no evidence");
  assertEquals(later.system.signalGroup({ ...id, mark: "MARK=other" }, "SIGTERM"), false);
  assertEquals(later.system.signalGroup({ ...id, mark }, "SIGTERM"), true);
  await soon("its end", later.system.groupGone(left.pid));
});

Deno.test("groupGone of a number nobody has resolves", async () => {
  await using machine = new TestMachine();
  await soon("nothing", machine.system.groupGone(2 ** 22 + 1));
  assertEquals(machine.system.group(2 ** 22 + 1), { members: [] });
});
