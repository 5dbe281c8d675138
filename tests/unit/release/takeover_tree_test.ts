/** Whom a takeover chooses: the rules that no real program breaks on demand. */

import { assertEquals } from "@std/assert";
import type { Stranger } from "../../../lib/os/strangers.ts";
import { TakeoverTree, type Wanted } from "../../../lib/release/takeover_tree.ts";

const SELF = 50;

/** A process; by default a session leader below init. */
function row(pid: number, command: string, more: Partial<Stranger> = {}): Stranger {
  const own = { ppid: 1, pgrp: pid, session: pid, start: String(pid * 10), uid: 0 };
  return { pid, ...own, argv: command.split(" "), ...more };
}

function table(...rows: Stranger[]): Map<number, Stranger> {
  const all = [row(1, "init server"), row(SELF, "supervisor predeploy-cleanup server"), ...rows];
  return new Map(all.map((each) => [each.pid, each]));
}

const SERVER: Wanted = {
  processes: [{ name: "old", includes: ["/app/", "server"] }],
  screens: [],
  sessions: new Map(),
};

/** Pids chosen at each look. */
function looks(wanted: Wanted, ...tables: Map<number, Stranger>[]): number[][] {
  const tree = new TakeoverTree(wanted, tables[0], SELF);
  return tables.map((each) => tree.look(each).map(({ who }) => who.pid));
}

Deno.test("every text of a matcher must be there; descendants come after their parents", () => {
  const first = table(
    row(12, "sleep", { ppid: 11 }),
    row(11, "child", { ppid: 10 }),
    row(10, "/app/bin server"),
    row(20, "/app/bin other"),
    row(21, "server"),
    row(22, "/app/bin", { argv: ["/app/bin", "--name=server"] }),
  );
  assertEquals(looks(SERVER, first), [[10, 11, 12, 22]]);
});

Deno.test("ourselves, our ancestors and init are never chosen, nor what only they match", () => {
  const all: Wanted = { ...SERVER, processes: [{ name: "all", includes: ["server"] }] };
  const first = table(
    row(30, "sh -c server"),
    row(40, "sh server", { ppid: 30 }),
    row(SELF, "supervisor server", { ppid: 40 }),
    row(41, "tee", { ppid: 40 }),
    row(42, "tail server", { ppid: 40 }),
  );
  assertEquals(looks(all, first), [[42]]);
});

Deno.test("who was chosen stays so when its parent has gone; its number alone proves nothing", () => {
  const first = table(row(10, "/app/ server"), row(11, "child", { ppid: 10 }));
  const orphaned = table(row(11, "child"));
  const recycled = table(row(11, "stranger", { start: "999" }));
  assertEquals(looks(SERVER, first, orphaned, recycled), [[10, 11], [11], []]);
});

Deno.test("who appears in a chosen leader's session is found; who was there before is not", () => {
  const mate = row(20, "mate", { session: 10, pgrp: 10 });
  const first = table(row(10, "/app/ server"), mate);
  const later = table(mate, row(21, "forked", { session: 10, pgrp: 21 }));
  assertEquals(looks(SERVER, first, later), [[10], [21]]);
});

Deno.test("a session led by a stranger with a chosen one's number is not touched", () => {
  const first = table(row(10, "/app/ server"));
  const later = table(
    row(10, "another", { start: "999" }),
    row(21, "its child", { session: 10, pgrp: 10 }),
  );
  assertEquals(looks(SERVER, first, later), [[10], []]);
});

Deno.test("a screen session is chosen by the whole of its name", () => {
  const wanted: Wanted = { processes: [], screens: ["app"], sessions: new Map([[14, "app"]]) };
  const first = table(
    row(10, "SCREEN -dmS app node server.js"),
    row(11, "SCREEN -dmS app2 node"),
    row(12, "SCREEN -h 100 -S app"),
    row(13, "SCREEN -dmS other sh -S app"),
    row(14, "SCREEN -dmS renamed"),
    row(15, "vim SCREEN -S app"),
  );
  assertEquals(looks(wanted, first), [[10, 12, 14]]);
});

Deno.test("parents in a circle end the walk", () => {
  const first = table(
    row(10, "/app/ server", { ppid: 11 }),
    row(11, "child", { ppid: 10 }),
  );
  assertEquals(looks(SERVER, first), [[10, 11]]);
});
