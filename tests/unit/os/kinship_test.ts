import { assertEquals } from "@std/assert";
import { Kinship } from "../../../lib/os/kinship.ts";
import type { ProcRow } from "../../../lib/os/system.ts";
import { row, US } from "./fake_kernel.ts";

const rows = (...all: ProcRow[]) =>
  new Map([row(US, { ppid: 1 }), ...all].map((one) => [one.pid, one]));

const pids = (kinship: Kinship, leader: number) => kinship.members(leader).map((one) => one.pid);

function kin(environments: Record<number, string[]> = {}) {
  const kinship = new Kinship(US, true, (pid) => environments[pid]);
  kinship.add({ pid: 20, start: "2000", environment: ["A=1"] });
  return kinship;
}

Deno.test("members: the leader, its session, its group, and what descends from them", () => {
  const kinship = kin();
  kinship.observe(rows(
    row(20),
    row(21, { session: 20, ppid: 20 }),
    row(22, { session: 20, pgrp: 22, ppid: 21 }),
    row(23, { session: 99, pgrp: 20, ppid: 1 }),
    row(24, { ppid: 22 }), // in a session of its own
    row(25, { ppid: 24 }),
    row(26, { ppid: 20, session: 20, state: "Z" }),
    row(30, { ppid: 1 }),
    row(31, { ppid: 30 }),
  ));
  assertEquals(pids(kinship, 20), [20, 21, 22, 23, 24, 25]);
});

Deno.test("who was seen to belong still belongs when its parents are gone, as long as it is itself", () => {
  const kinship = kin();
  kinship.observe(rows(row(20), row(24, { ppid: 20 }), row(25, { ppid: 24 })));
  kinship.observe(rows(row(24, { ppid: US }), row(25, { ppid: 1 }), row(26, { ppid: 25 })));
  assertEquals(pids(kinship, 20), [24, 25, 26]);
  kinship.observe(rows(row(25, { ppid: 1, start: "9999" })));
  assertEquals(pids(kinship, 20), []);
});

Deno.test("a process between a zombie and its leader still connects them", () => {
  const kinship = kin();
  kinship.observe(rows(
    row(20, { state: "Z" }),
    row(21, { session: 20, ppid: 20, state: "Z" }),
    row(24, { ppid: 21 }),
  ));
  assertEquals(pids(kinship, 20), [24]);
});

Deno.test("an orphan never seen before is known by the environment, the most exact one", () => {
  const kinship = kin({ 40: ["A=1", "B=2", "C=3"], 41: ["A=1"], 42: ["B=2"], 43: ["A=1", "D=4"] });
  kinship.add({ pid: 30, start: "3000", environment: ["A=1", "B=2"] });
  kinship.add({ pid: 31, start: "3100", environment: ["A=1", "D=4"] });
  kinship.add({ pid: 32, start: "3200", environment: ["A=1", "D=4"] });
  kinship.add({ pid: 33, start: "3300", environment: [] });
  kinship.observe(rows(row(40), row(41), row(42), row(43)));
  assertEquals([pids(kinship, 20), pids(kinship, 30)], [[41], [40]]);
  assertEquals([31, 32, 33].flatMap((leader) => pids(kinship, leader)), []);
});

Deno.test("an orphan is looked at once", () => {
  let looks = 0;
  const kinship = new Kinship(US, true, () => {
    looks++;
    return ["X=1"];
  });
  kinship.add({ pid: 20, start: "2000", environment: ["A=1"] });
  for (let i = 0; i < 5; i++) kinship.observe(rows(row(40)));
  assertEquals(looks, 1);
});

Deno.test("where neighbours start children in our process, nobody is claimed", () => {
  const kinship = new Kinship(US, false, () => ["A=1"]);
  kinship.add({ pid: 20, start: "2000", environment: ["A=1"] });
  kinship.observe(rows(row(20), row(40)));
  assertEquals(pids(kinship, 20), [20]);
});

Deno.test("what shares our own session is not ours to claim", () => {
  const kinship = kin({ 40: ["A=1"] });
  kinship.observe(rows(row(40, { session: US, pgrp: 40 })));
  assertEquals(pids(kinship, 20), []);
});

Deno.test("descendants: everything below us, and what was ours when last seen", () => {
  const kinship = kin();
  kinship.observe(rows(row(20), row(24, { ppid: 20 })));
  const now = rows(
    row(24, { ppid: 1 }),
    row(40),
    row(41, { ppid: 40, session: 40 }),
    row(42, { ppid: 40, state: "Z" }),
    row(50, { ppid: 1 }),
  );
  kinship.observe(now);
  assertEquals(kinship.descendants(now).map((one) => one.pid), [24, 40, 41]);
});

Deno.test("parents in a circle end the walk", () => {
  const kinship = kin();
  const circle = rows(row(40, { ppid: 41 }), row(41, { ppid: 40 }));
  kinship.observe(circle);
  assertEquals(kinship.descendants(circle), []);
});

Deno.test("a mark is asked of members only when the leader is gone", () => {
  const kinship = new Kinship(US, true, (pid) => pid === 22 ? ["M=1"] : ["M=2"]);
  kinship.add({ pid: 20, start: "2000", mark: "M=1" });
  const members = [row(21, { session: 20, ppid: 1 }), row(22, { session: 20, ppid: 1 })];
  kinship.observe(rows(row(20, { ppid: 1 }), ...members));
  assertEquals(pids(kinship, 20), [20, 21, 22]);
  kinship.observe(rows(...members));
  assertEquals(pids(kinship, 20), [22]);
});

Deno.test("a forgotten leader has no members, and what escaped from it is nobody's", () => {
  const kinship = kin();
  kinship.observe(rows(row(20), row(24, { ppid: 20 })));
  kinship.remove(20);
  kinship.observe(rows(row(24, { ppid: 1 })));
  assertEquals(pids(kinship, 20), []);
});
