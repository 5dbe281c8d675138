/** The journal on disk: bounded files, what earlier daemons saw, and disks that fail. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Emit, EventRecord } from "../../../lib/telemetry/events.ts";
import { Journal } from "../../../lib/telemetry/journal.ts";
import { JournalStore } from "../../../lib/telemetry/journal_store.ts";
import type { RotationLimits } from "../../../lib/telemetry/rotating_file.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { Scratch } from "../../kit/scratch.ts";

const ROOMY: RotationLimits = { bytes: 1_000_000, files: 3 };

/** One daemon's journal with its store. */
function life(path: string, { kept = 3, limits = ROOMY, clock = new ManualClock() } = {}) {
  const written: EventRecord[] = [];
  const journal = new Journal(clock, { write: (record) => written.push(record) }, kept);
  const store = new JournalStore({ path, limits, clock, emit: journal.emit });
  journal.tell(store);
  journal.remember(store);
  return { journal, store, clock, written };
}

/** Emits events numbered by `exit`. */
function emitAll(emit: Emit, from: number, to: number): void {
  for (let exit = from; exit <= to; exit++) emit("daemon_stopped", { exit });
}

const exits = (records: EventRecord[]) => records.map(({ data }) => data.exit);

async function ask(journal: Journal, query: Parameters<Journal["query"]>[0]) {
  return exits(await Array.fromAsync(journal.query(query)));
}

Deno.test("what memory has forgotten and what a daemon before saw is read from disk, once", async () => {
  using scratch = new Scratch();
  const path = scratch.path("events.jsonl");
  const first = life(path);
  emitAll(first.journal.emit, 1, 5);
  await first.store[Symbol.asyncDispose]();
  const { journal, store } = life(path);
  emitAll(journal.emit, 11, 20);
  assertEquals(await ask(journal, {}), [18, 19, 20]);
  assertEquals(await ask(journal, { limit: 2 }), [19, 20]);
  assertEquals(await ask(journal, { limit: 6 }), [15, 16, 17, 18, 19, 20]);
  assertEquals(await ask(journal, { limit: 12 }), [4, 5, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  assertEquals((await ask(journal, { limit: 1000 })).length, 15);
  const odd = (record: EventRecord) => Number(record.data.exit) % 2 === 1;
  assertEquals(exits(await journal.search(odd, 4)), [13, 15, 17, 19]);
  assertEquals(exits(await journal.search(odd, 100)), [1, 3, 5, 11, 13, 15, 17, 19]);
  const [record] = await Array.fromAsync(journal.query({ limit: 15 }));
  assertEquals(Object.keys(record), ["at", "seq", "level", "event", "data"]);
  await store[Symbol.asyncDispose]();
});

Deno.test("from a time on, across daemons, and then what comes", async () => {
  using scratch = new Scratch();
  const path = scratch.path("events.jsonl");
  const clock = new ManualClock();
  const first = life(path, { clock });
  emitAll(first.journal.emit, 1, 2);
  clock.tick(1000);
  emitAll(first.journal.emit, 3, 4);
  await first.store[Symbol.asyncDispose]();
  clock.tick(1000);
  const { journal, store } = life(path, { clock, kept: 1 });
  emitAll(journal.emit, 5, 7);
  const since = clock.wall() - 1000;
  assertEquals(await ask(journal, { since }), [3, 4, 5, 6, 7]);
  assertEquals(await ask(journal, { since, limit: 4 }), [4, 5, 6, 7]);
  assertEquals(await ask(journal, { since: clock.wall() }), [5, 6, 7]);
  assertEquals(await ask(journal, { since: clock.wall() + 1 }), []);
  const following = journal.query({ since, follow: true });
  emitAll(journal.emit, 8, 9);
  journal.close();
  assertEquals(exits(await Array.fromAsync(following)), [3, 4, 5, 6, 7, 8, 9]);
  await store[Symbol.asyncDispose]();
});

Deno.test("torn lines and lines of strangers are passed over", async () => {
  using scratch = new Scratch();
  const path = scratch.path("events.jsonl");
  const first = life(path);
  emitAll(first.journal.emit, 1, 2);
  await first.store[Symbol.asyncDispose]();
  Deno.writeTextFileSync(path, 'null\n[1]\n{"at":"2030","seq":7}\n\0\0\0\n{"at":"2030-01-01T', {
    append: true,
  });
  const { journal, store } = life(path);
  emitAll(journal.emit, 3, 3);
  assertEquals(await ask(journal, { limit: 10 }), [1, 2, 3]);
  await store[Symbol.asyncDispose]();
});

Deno.test("files are bounded in size and number, also after the bounds changed", async () => {
  using scratch = new Scratch();
  const path = scratch.path("events.jsonl");
  const { journal, store } = life(path, { limits: { bytes: 1000, files: 2 } });
  for (let exit = 1; exit <= 50; exit++) {
    journal.emit("daemon_stopped", { exit });
    await ask(journal, { limit: 10 }); // each event a batch of its own
  }
  const names = () => Array.from(Deno.readDirSync(scratch.dir), ({ name }) => name).sort();
  assertEquals(names(), ["events.jsonl", "events.jsonl.1"]);
  const known = await ask(journal, { limit: 1000 });
  assertEquals(known, Array.from(known, (_, i) => 51 - known.length + i));
  assert(known.length > 5 && known.length < 40, `${known.length} events`);
  store.configure({ bytes: 1_000_000, files: 4 });
  emitAll(journal.emit, 51, 90);
  const after = await ask(journal, { limit: 1000 });
  assertEquals(after.length, known.length + 40);
  await store[Symbol.asyncDispose]();
});

Deno.test("a file that cannot be opened is told once, and everything else goes on", async () => {
  using scratch = new Scratch();
  scratch.write("there", "a file");
  const { journal, store, written } = life(scratch.path("there", "events.jsonl"));
  emitAll(journal.emit, 1, 5);
  const told = written.filter(({ event }) => event === "journal_failed");
  assertEquals(told.length, 1);
  assertStringIncludes(String(told[0].data.error), "events.jsonl");
  assertEquals(await ask(journal, { limit: 100 }), [3, 4, 5]);
  assertEquals(await store.reopen(), []);
  await store[Symbol.asyncDispose]();
});

Deno.test("a disk that is full is told once", async () => {
  const { journal, store, written } = life("/dev/full");
  for (let exit = 1; exit <= 3; exit++) {
    emitAll(journal.emit, exit, exit);
    await ask(journal, { limit: 10 });
  }
  assertEquals(written.filter(({ event }) => event === "journal_failed").length, 1);
  assert(store.lost >= 3);
  await store[Symbol.asyncDispose]();
});

Deno.test("what was lost is told when it can be written again", async () => {
  using scratch = new Scratch();
  const path = scratch.path("events.jsonl");
  const { journal, store, written } = life(path, { limits: { bytes: 300, files: 2 } });
  Deno.mkdirSync(`${path}.new`); // the file cannot be turned over
  const told = (name: string) => written.filter(({ event }) => event === name);
  for (let exit = 1; told("journal_failed").length === 0 && exit < 20; exit++) {
    emitAll(journal.emit, exit, exit);
    await ask(journal, { limit: 10 });
  }
  const { lost } = store;
  assert(lost > 0);
  Deno.removeSync(`${path}.new`);
  emitAll(journal.emit, 20, 20);
  await ask(journal, { limit: 10 });
  assertEquals(told("journal_lost").map(({ data }) => data.events), [lost]);
  assertEquals(told("journal_failed").length, 1);
  await store[Symbol.asyncDispose]();
});
