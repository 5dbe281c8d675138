/** Processes that a dead daemon left: who is one, and how they are stopped. */

import { assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { Orphans } from "../../../lib/release/orphans.ts";
import { PidBook, type PidEntry } from "../../../lib/release/pid_book.ts";
import type { FakeChild } from "../../kit/fake_system.ts";
import { turn } from "../../kit/manual_clock.ts";
import { Scratch } from "../../kit/scratch.ts";
import { manualWorld } from "../process/world.ts";

const GRACE = 5_000;

/** A dead daemon's programs, each with its entry. */
class Past implements Disposable {
  readonly scratch = new Scratch();
  readonly file = this.scratch.path("processes.json");
  readonly made = manualWorld();
  readonly book = new PidBook(this.file, this.made.world.host.emit);
  readonly entries: PidEntry[] = [];

  /** A program that still runs. */
  program(id: string, more: Partial<PidEntry> = {}): FakeChild {
    const { system } = this.made;
    const child = system.spawn({ argv: [id], cwd: "/", env: {} }) as FakeChild;
    this.entries.push({
      instance: id,
      id,
      policy: "companion",
      release: "v1",
      pid: child.pid,
      start: child.start,
      boot_id: system.bootId,
      mark: "SUPERVISOR_RELEASE_PATH=/srv/v1",
      ...more,
    });
    return child;
  }

  /** What the next daemon makes of it. */
  found(): Orphans {
    const { system, world } = this.made;
    return new Orphans(this.entries, system, this.book, world.host.emit, GRACE);
  }

  [Symbol.dispose](): void {
    this.scratch[Symbol.dispose]();
  }
}

Deno.test("a process that is verified is listed and booked at once", () => {
  using past = new Past();
  const web = past.program("web");
  const worker = past.program("worker", { instance: "worker#0", release: null });
  const orphans = past.found();
  assertEquals(orphans.list(), [
    { id: "web", pid: web.pid, release_id: "v1" },
    { id: "worker#0", pid: worker.pid, release_id: null },
  ]);
  assertEquals(PidBook.read(past.file), past.entries);
  assertEquals(past.made.world.events("orphan_found").map((one) => one.process), [
    "web",
    "worker#0",
  ]);
  assertEquals([web.signals, worker.signals], [[], []]);
});

Deno.test("no moment in which the book lacks one of them", () => {
  using past = new Past();
  past.program("web");
  past.program("worker");
  const seen: number[] = [];
  class Watched extends PidBook {
    override putAll(entries: readonly PidEntry[]): void {
      super.putAll(entries);
      seen.push(PidBook.read(past.file).length);
    }
  }
  const { system, world } = past.made;
  const book = new Watched(past.file, world.host.emit);
  new Orphans(past.entries, system, book, world.host.emit, GRACE);
  assertEquals(seen, [2]);
});

const STRANGERS: Record<string, Partial<PidEntry>> = {
  "another start time": { start: "1" },
  "another boot": { boot_id: "11111111-other" },
};
for (const [what, more] of Object.entries(STRANGERS)) {
  Deno.test(`${what}: forgotten, and never signalled`, async () => {
    using past = new Past();
    const child = past.program("web", { policy: "singleton", ...more });
    const orphans = past.found();
    assertEquals(orphans.list(), []);
    await orphans.clearFor("web");
    await orphans.clear();
    assertEquals(child.signals, []);
    assertEquals(past.made.world.told, []);
  });
}

Deno.test("a process that is gone is forgotten", async () => {
  using past = new Past();
  past.program("web").exit(0);
  const orphans = past.found();
  assertEquals(orphans.list(), []);
  await orphans.clear();
});

Deno.test("the leader is gone but its session lives: still an orphan, stopped as a whole", async () => {
  using past = new Past();
  const child = past.program("web");
  child.fork();
  child.exit(1);
  const orphans = past.found();
  assertEquals(orphans.list().length, 1);
  await orphans.clear();
  assertEquals([child.signals, child.alive], [["SIGTERM"], false]);
});

Deno.test("without a mark a session without its leader is left alone", async () => {
  using past = new Past();
  const child = past.program("web", { mark: undefined });
  child.fork();
  child.exit(1);
  const orphans = past.found();
  assertEquals(orphans.list(), []);
  await orphans.clear();
  assertEquals(child.signals, []);
});

Deno.test("asked politely first; who does not listen is killed after the grace", async () => {
  using past = new Past();
  const polite = past.program("polite");
  const deaf = past.program("deaf");
  deaf.deaf.add("SIGTERM");
  const { clock, world } = past.made;
  const orphans = past.found();
  const cleared = orphans.clear();
  await turn();
  assertEquals([polite.alive, deaf.alive], [false, true]);
  assertEquals(orphans.list().map((one) => one.id), ["deaf"]);
  await clock.advance(GRACE - 1);
  assertEquals(deaf.signals, ["SIGTERM"]);
  await clock.advance(1);
  await cleared;
  assertEquals(deaf.signals, ["SIGTERM", "SIGKILL"]);
  assertEquals(orphans.list(), []);
  assertEquals(PidBook.read(past.file), []);
  assertEquals(world.events("orphan_stopped").map((one) => one.process), ["polite", "deaf"]);
  assertEquals([clock.pending, past.made.system.waiting], [0, 0]);
});

Deno.test("who is in a hurry gives less grace, never more", async () => {
  using past = new Past();
  const deaf = past.program("deaf");
  deaf.deaf.add("SIGTERM");
  const cleared = past.found().clear(0);
  await past.made.clock.advance(0);
  await cleared;
  assertEquals(deaf.signals, ["SIGTERM", "SIGKILL"]);
});

Deno.test("what outlives SIGKILL stays listed and booked, and its successor is refused", async () => {
  using past = new Past();
  const child = past.program("cron", { policy: "singleton" });
  child.deaf.add("SIGTERM");
  child.immortal.add(child.pid);
  const { clock, world } = past.made;
  const orphans = past.found();
  const refused = assertRejects(() => orphans.clearFor("cron"), Failure);
  await clock.advance(60_000);
  const failure = await refused;
  assertEquals(
    failure.message,
    `"cron" of an earlier daemon is still there: pid ${child.pid}`,
  );
  assertEquals(orphans.list().length, 1);
  assertEquals(PidBook.read(past.file).length, 1);
  assertEquals(world.events("process_stop_failed")[0].pids, [child.pid]);
  child.immortal.clear();
  child.deaf.clear();
  await orphans.clearFor("cron");
  assertEquals(orphans.list(), []);
});

Deno.test("a successor waits for singletons, services and fixed ports of its id, and no others", async () => {
  using past = new Past();
  const singleton = past.program("a", { policy: "singleton" });
  const service = past.program("a", { policy: "service" });
  const fixed = past.program("a", { policy: "proxied", port: 7000, fixed_port: true });
  const ranged = past.program("a", { policy: "proxied", port: 7001, fixed_port: false });
  const other = past.program("b", { policy: "singleton" });
  const orphans = past.found();
  await orphans.clearFor("a");
  assertEquals(
    [singleton, service, fixed, ranged, other].map((child) => child.alive),
    [false, false, false, true, true],
  );
  await orphans.clearFor("c");
  await orphans.clear();
  assertEquals(orphans.list(), []);
});

Deno.test("two who wait for the same orphan share one stop", async () => {
  using past = new Past();
  const child = past.program("cron", { policy: "singleton" });
  const orphans = past.found();
  await Promise.all([orphans.clearFor("cron"), orphans.clear(), orphans.clear()]);
  assertEquals(child.signals, ["SIGTERM"]);
  assertEquals(past.made.world.events("orphan_stopped").length, 1);
});

Deno.test("whoever reads its output hears when the last of a copy is gone", async () => {
  using past = new Past();
  past.program("web");
  const second = past.program("web");
  second.deaf.add("SIGTERM");
  const orphans = past.found();
  const heard: string[] = [];
  orphans.whenGone("web", "v1", () => heard.push("first"));
  orphans.whenGone("web", "v1", () => heard.push("second"));
  orphans.whenGone("web", "v0", () => heard.push("not there"));
  assertEquals(heard, ["not there"]);
  assertEquals([orphans.has("web", "v1"), orphans.has("web", null)], [true, false]);
  const cleared = orphans.clear();
  await turn();
  assertEquals(heard, ["not there"]);
  await past.made.clock.advance(GRACE);
  await cleared;
  assertEquals(heard, ["not there", "first", "second"]);
  assertEquals(orphans.has("web", "v1"), false);
});
