/** The process book: what the next daemon finds in it. */

import { assertEquals, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { PidBook, type PidEntry } from "../../../lib/release/pid_book.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import { Scratch } from "../../kit/scratch.ts";

function entry(pid: number, more: Partial<PidEntry> = {}): PidEntry {
  return {
    instance: "web",
    id: "web",
    policy: "proxied",
    release: "v1",
    pid,
    start: String(pid * 10),
    boot_id: "boot",
    ...more,
  };
}

const silent: Emit = () => {};

Deno.test("every change is on disk at once, whole", () => {
  using scratch = new Scratch();
  const file = scratch.path("processes.json");
  const book = new PidBook(file, silent);
  book.put(entry(10, { port: 7000, fixed_port: true, mark: "A=b" }));
  assertEquals(PidBook.read(file), book.list());
  book.putAll([entry(11), entry(12)]);
  assertEquals(PidBook.read(file).map((one) => one.pid), [10, 11, 12]);
  book.remove(entry(11));
  assertEquals(PidBook.read(file).map((one) => one.pid), [10, 12]);
  assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
  assertEquals([...Deno.readDirSync(scratch.dir)].map((one) => one.name), ["processes.json"]);
});

Deno.test("another process of the same number is another entry", () => {
  using scratch = new Scratch();
  const book = new PidBook(scratch.path("processes.json"), silent);
  book.put(entry(10));
  book.remove(entry(10, { start: "7" }));
  assertEquals(book.list().length, 1);
  book.put(entry(10));
  assertEquals(book.list().length, 1);
});

Deno.test("without a file there is nobody", () => {
  using scratch = new Scratch();
  assertEquals(PidBook.read(scratch.path("processes.json")), []);
});

const book = JSON.stringify({ format: 1, processes: [entry(10)] });
const USELESS: Record<string, string> = {
  "half a file": book.slice(0, -5),
  "an empty file": "",
  "null": "null",
  "a number": "7",
  "another format": book.replace('"format":1', '"format":2'),
  "no list": '{"format":1,"processes":{}}',
};
for (const [what, text] of Object.entries(USELESS)) {
  Deno.test(`${what} names nobody`, () => {
    using scratch = new Scratch();
    assertEquals(PidBook.read(scratch.write("processes.json", text)), []);
  });
}

Deno.test("entries that cannot be verified later are left out", () => {
  using scratch = new Scratch();
  const bad = [
    null,
    5,
    entry(1),
    entry(0),
    entry(-4),
    entry(1.5),
    { ...entry(20), pid: "20" },
    { ...entry(20), start: undefined },
    { ...entry(20), boot_id: 5 },
    { ...entry(20), id: undefined },
    { ...entry(20), instance: undefined },
    { ...entry(20), mark: 5 },
  ];
  const text = JSON.stringify({ format: 1, processes: [...bad, entry(10)] });
  assertEquals(PidBook.read(scratch.write("processes.json", text)), [entry(10)]);
});

Deno.test("a file that cannot be read stops the start", () => {
  using scratch = new Scratch();
  Deno.mkdirSync(scratch.path("processes.json"));
  assertThrows(() => PidBook.read(scratch.path("processes.json")), Failure, "cannot read");
});

Deno.test("a disk that takes nothing is told, and the programs run on", () => {
  using scratch = new Scratch();
  const told: string[] = [];
  const book = new PidBook(scratch.path("gone", "processes.json"), (name) => told.push(name));
  book.put(entry(10));
  assertEquals(told, ["state_write_failed"]);
  assertEquals(book.list(), [entry(10)]);
});
