/** Asking for lines: over files, programs and time, and what comes. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { realClock } from "../../../lib/os/clock.ts";
import type { Output } from "../../../lib/process/output.ts";
import { lines, read, runToEnd, Scene } from "./scene.ts";

/** The real clock with a calendar that a test turns. */
class Calendar {
  today = Date.UTC(2030, 0, 1);
  readonly clock = { ...realClock, wall: () => this.today };
}

const SMALL = { rotation: { bytes: 3000, files: 10 } };

/** Prints `count` lines `name 1` … as instance `name`, one clock second apart. */
async function print(output: Output, name: string, count: number, calendar?: Calendar) {
  const id = name.replace(/#.*/, "");
  const run = output.sink.open({ instance: name, id }, 5);
  for (let i = 1; i <= count; i++) {
    Deno.writeTextFileSync(run.files.stdout, `${name} ${i}\n`, { append: true });
    if (calendar === undefined && i < count) continue;
    await run.settle();
    if (calendar !== undefined) calendar.today += 1000;
  }
  run.end();
  await run.settle();
}

/** All records of a log as they lie on disk, oldest file first. */
function onDisk(path: string, files: number): string[] {
  const all: string[] = [];
  for (let age = files - 1; age >= 0; age--) {
    try {
      all.push(...Deno.readTextFileSync(age === 0 ? path : `${path}.${age}`).trim().split("\n"));
    } catch {
      // There are not so many yet.
    }
  }
  return all.map((text) => JSON.parse(text).line);
}

Deno.test("the last lines, however many files they lie in", async () => {
  await using scene = new Scene();
  const output = scene.open({ limits: { ...SMALL, turn_lines: 7 } });
  await print(output, "web", 200);
  const all = onDisk(`${scene.logs}/web.log`, 10);
  assertEquals(all.length, 200);
  assert(Array.from(Deno.readDirSync(scene.logs)).length > 5);
  for (const count of [0, 1, 6, 7, 8, 30, 100, 199, 200, 1000]) {
    assertEquals(
      await lines(output, { since: undefined, lines: count }),
      count === 0 ? [] : all.slice(-count),
    );
  }
  assertEquals((await lines(output, { since: undefined })).length, 100);
});

Deno.test("several programs in the order of time", async () => {
  await using scene = new Scene();
  const calendar = new Calendar();
  const output = scene.open({ clock: calendar.clock, limits: SMALL });
  for (let round = 0; round < 10; round++) {
    for (const name of ["b", "a", "c"]) await print(output, name, 1, calendar);
  }
  const records = await read(output);
  assertEquals(records.length, 30);
  assertEquals(records.slice(0, 4).map(({ process }) => process), ["b", "a", "c", "b"]);
  const stamps = records.map(({ at }) => at);
  assertEquals(stamps, [...stamps].sort());
  const last = await read(output, { since: undefined, lines: 4 });
  assertEquals(last, records.slice(-4));
});

Deno.test("a configured id means all replicas, an instance only itself", async () => {
  await using scene = new Scene();
  const output = scene.open();
  for (const name of ["web#0", "web#1", "other"]) await print(output, name, 2);
  assertEquals((await lines(output, { process: "web" })).sort(), [
    "web#0 1",
    "web#0 2",
    "web#1 1",
    "web#1 2",
  ]);
  assertEquals(await lines(output, { process: "web#1" }), ["web#1 1", "web#1 2"]);
  assertEquals(await lines(output, { process: "web#1", since: undefined, lines: 1 }), ["web#1 2"]);
  assertEquals(await lines(output, { process: "nobody" }), []);
});

Deno.test("lines from a time on, found without reading what is older", async () => {
  await using scene = new Scene();
  const calendar = new Calendar();
  const start = calendar.today;
  const output = scene.open({
    clock: calendar.clock,
    limits: { rotation: { bytes: 200_000, files: 10 } },
  });
  for (let round = 0; round < 8; round++) {
    const run = output.sink.open({ instance: "web", id: "web" }, 5);
    const text = Array.from({ length: 500 }, (_, i) => `${round * 500 + i} ${"x".repeat(100)}\n`);
    Deno.writeTextFileSync(run.files.stdout, text.join(""));
    run.end();
    await run.settle();
    calendar.today += 60_000;
  }
  for (let round = 0; round <= 8; round++) {
    const got = await lines(output, { since: start + round * 60_000 });
    assertEquals(got.length, 4000 - round * 500, `from minute ${round}`);
    if (round < 8) assertStringIncludes(got[0], `${round * 500} x`);
  }
  assertEquals(
    (await lines(output, { since: start + 60_000, lines: 10 })).at(-1)?.slice(0, 4),
    "3999",
  );
  assertEquals(await lines(output, { since: start + 7 * 60_000 + 1, lines: 10 }), []);
});

Deno.test("what is not a record is passed over", async () => {
  await using scene = new Scene();
  const output = scene.open();
  await print(output, "web", 1);
  const path = `${scene.logs}/web.log`;
  Deno.writeTextFileSync(path, `rubbish\n{"at":1}\n\n${"y".repeat(3_000_000)}\n`, { append: true });
  await print(output, "web", 2);
  assertEquals(await lines(output), ["web 1", "web 1", "web 2"]);
  assertEquals(await lines(output, { since: undefined, lines: 3 }), ["web 1", "web 1", "web 2"]);
});

Deno.test("follow: no gap and no repetition, while the log grows and turns over", async () => {
  await using scene = new Scene();
  const output = scene.open({
    limits: { rotation: { bytes: 20_000, files: 100 }, turn_lines: 40 },
  });
  const printing = runToEnd(
    output.sink.open({ instance: "web", id: "web" }, 5),
    "seq 1 2000; for i in $(seq 2001 2200); do echo $i; done",
  );
  const follower = (async () => {
    const got: string[] = [];
    for await (const { line } of output.store.query({ since: 0, follow: true })) {
      got.push(line);
      if (line === "2200") return got;
    }
  })();
  await printing;
  assertEquals(await follower, Array.from({ length: 2200 }, (_, i) => String(i + 1)));
  assertEquals(output.stats().followers, 0);
});

Deno.test("a follower who does not read is dropped and told; one of a quiet program is not", async () => {
  await using scene = new Scene();
  const output = scene.open();
  const idle = output.store.query({ lines: 0, follow: true });
  const quiet = output.store.query({ process: "quiet", lines: 0, follow: true });
  const [firstOfIdle, firstOfQuiet] = [idle.next(), quiet.next()];
  await output.store.query({ lines: 0 }).next(); // now both have begun
  await runToEnd(output.sink.open({ instance: "web", id: "web" }, 5), "seq 1 10000");
  assertEquals((await firstOfIdle).value.line, "1");
  const stats = output.stats();
  assertEquals([stats.followers, stats.followers_dropped], [1, 1]);
  const rest = await Array.fromAsync(idle);
  assertEquals(rest.length, 4097);
  assertEquals(rest.slice(0, -1).map(({ line }) => line)[4095], "4097");
  const farewell = rest.at(-1)!;
  assertEquals(farewell.process, "supervisor");
  assertStringIncludes(farewell.line, "dropped");
  await print(output, "quiet", 1);
  assertEquals((await firstOfQuiet).value.line, "quiet 1");
  await quiet.return!();
});

Deno.test("an aborted query ends without an error, wherever it stands", async () => {
  await using scene = new Scene();
  const output = scene.open();
  await runToEnd(output.sink.open({ instance: "web", id: "web" }, 5), "seq 1 5000");
  const waiting = new AbortController();
  const follower = output.store.query({ lines: 0, follow: true }, waiting.signal);
  const next = follower.next();
  await output.store.query({ lines: 0 }).next();
  waiting.abort();
  assertEquals((await next).done, true);
  const reading = new AbortController();
  let count = 0;
  for await (const _ of output.store.query({ since: 0, follow: true }, reading.signal)) {
    if (++count === 100) reading.abort();
  }
  assertEquals(count, 100);
  assertEquals(output.stats().followers, 0);
  const gone = output.store.query({ follow: true }, AbortSignal.abort());
  assertEquals((await gone.next()).done, true);
});

Deno.test("leaving a follower that waits ends its wait", async () => {
  await using scene = new Scene();
  const output = scene.open();
  const follower = output.store.query({ lines: 0, follow: true });
  const next = follower.next();
  await output.store.query({ lines: 0 }).next();
  assertEquals(output.stats().followers, 1);
  await follower.return!();
  assertEquals([(await next).done, output.stats().followers], [true, 0]);
});
