/** Real programs, real files: what they print is in the log, whatever happens. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Fifo } from "../../kit/gate.ts";
import { pause, soon } from "../../kit/wait.ts";
import { lines, read, runToEnd, Scene, seen, start } from "./scene.ts";

const WEB = { instance: "web", id: "web", release: "v1" };

Deno.test("both streams arrive as records with whole lines, and nothing is left", async () => {
  await using scene = new Scene();
  const output = scene.open();
  const run = output.sink.open(WEB, 50);
  await runToEnd(run, "printf 'one\\r\\ntwo\\nla'; printf 'st'; echo oops >&2");
  const records = await read(output, { process: "web" });
  assertEquals(
    records.filter(({ stream }) => stream === "stdout").map(({ line }) => line),
    ["one", "two", "last"],
  );
  const [error] = records.filter(({ stream }) => stream === "stderr");
  assertEquals([error.process, error.release, error.line], ["web", "v1", "oops"]);
  assertMatch(error.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assertEquals(scene.left(), []);
  assertEquals(output.stats().runs, 0);
});

Deno.test("files and directories are for the owner only", async () => {
  await using scene = new Scene();
  const output = scene.open();
  const run = output.sink.open(WEB, 50);
  await start(run, "echo x").status;
  await run.settle();
  const mode = (path: string) => (Deno.statSync(path).mode! & 0o777).toString(8);
  for (const path of [run.files.stdout, run.files.stderr, `${scene.logs}/web.log`]) {
    assertEquals(mode(path), "600", path);
  }
  for (const path of [scene.spools, scene.logs]) assertEquals(mode(path), "700", path);
});

Deno.test("an unfinished line waits for its rest, over any time", async () => {
  await using scene = new Scene();
  const output = scene.open();
  const run = output.sink.open(WEB, 50);
  await using go = new Fifo(`${scene.directory}/go`);
  const child = start(run, `printf 'first\\nhal'; read x <${go.path}; printf 'f\\n'`);
  const coming = output.store.query({ process: "web", follow: true });
  assertEquals((await soon("the first line", coming.next())).value.line, "first");
  await run.settle();
  assertEquals(run.recent().map(({ line, cut }) => [line, cut]), [["first", undefined], [
    "hal",
    true,
  ]]);
  assertEquals((await lines(output)).length, 1);
  go.release();
  assertEquals((await soon("its end", coming.next())).value.line, "half");
  assertEquals(run.recent().map(({ line }) => line), ["first", "half"]);
  await coming.return!();
  await soon("the program's end", child.status);
});

Deno.test("a line beyond the limit comes in marked pieces that give it back", async () => {
  await using scene = new Scene();
  const output = scene.open();
  const run = output.sink.open(WEB, 50);
  await runToEnd(run, "head -c 200000 /dev/zero | tr '\\0' x; echo; echo short");
  const records = await read(output);
  assertEquals(records.map(({ line, cut }) => [line.length, cut]), [
    [65536, true],
    [65536, true],
    [65536, true],
    [200000 - 3 * 65536, undefined],
    [5, undefined],
  ]);
  assert(run.recent().every(({ line }) => line.length <= 4096));
});

Deno.test("200,000 lines of four programs while the logs turn over: none lost, all in order", async () => {
  await using scene = new Scene();
  const output = scene.open({ limits: { rotation: { bytes: 1_000_000, files: 100 } } });
  const runs = [0, 1, 2, 3].map((copy) =>
    output.sink.open({ instance: `web#${copy}`, id: "web", release: "v1" }, 20)
  );
  const children = runs.map((run) => start(run, "seq 1 40000; seq 1 10000 >&2"));
  for (const child of children) await child.status;
  for (const run of runs) run.end();
  await Promise.all(runs.map((run) => run.settle()));
  const records = await read(output);
  assertEquals(records.length, 200_000);
  const next: Record<string, number> = {};
  for (const { process, stream, line } of records) {
    const key = `${process} ${stream}`;
    next[key] = (next[key] ?? 0) + 1;
    if (line !== String(next[key])) assertEquals(line, String(next[key]), key);
  }
  assertEquals(Object.keys(next).length, 8);
  assert(Array.from(Deno.readDirSync(scene.logs)).length > 15, "the log has turned over");
  assertEquals([output.stats().lost_lines, output.stats().backlog_bytes], [0, 0]);
  assertEquals(runs[3].recent().length, 20);
  assertEquals(scene.left(), []);
});

Deno.test("what is read is given back to the disk while the program runs", async () => {
  await using scene = new Scene();
  const output = scene.open({ limits: { free_step: 64 * 1024 } });
  const run = output.sink.open(WEB, 5);
  await using go = new Fifo(`${scene.directory}/go`);
  const child = start(run, `seq 1 300000; read x <${go.path}; echo end`);
  await seen(output, "300000");
  await run.settle();
  const { size, blocks } = Deno.statSync(run.files.stdout);
  assertEquals(size, 1_988_895);
  assert(blocks! * 512 < 400_000, `${blocks! * 512} bytes are still allocated`);
  go.release();
  await soon("the program's end", child.status);
  run.end();
  await run.settle();
  assertEquals(run.recent().at(-1)?.line, "end");
});

Deno.test("where holes are refused the spool is emptied when all of it is read", async () => {
  await using scene = new Scene();
  const ground = {
    watchDirectory: (await import("../../../lib/os/watch.ts")).watchDirectory,
    firstData: () => 0,
    punchHole: () => false,
  };
  const output = scene.open({ ground, limits: { free_step: 64 * 1024 } });
  const run = output.sink.open(WEB, 5);
  await start(run, "seq 1 50000").status;
  await run.settle();
  await start(run, "seq 50001 50010").status; // notices that all is read, if the turn before did not
  await run.settle();
  await output.settle();
  assert(Deno.statSync(run.files.stdout).size < 64 * 1024, "the spool was emptied");
  await start(run, "seq 50011 50020").status;
  run.end();
  await run.settle();
  assertEquals(await lines(output), Array.from({ length: 50020 }, (_, i) => String(i + 1)));
});

Deno.test("a script that opens /dev/stderr anew for each message is understood", async () => {
  await using scene = new Scene();
  const output = scene.open();
  const run = output.sink.open(WEB, 50);
  await using go = new Fifo(`${scene.directory}/go`);
  const messages = [
    "tick",
    "tick",
    "tick",
    "listening on a port",
    "tick",
    "tock",
    "listening again",
  ];
  const script = messages.map((text) => `echo '${text}' >/dev/stderr; read x <${go.path}`).join(
    "; ",
  );
  const coming = output.store.query({ lines: 0, follow: true });
  const first = coming.next();
  await output.store.query({ lines: 0 }).next();
  const child = start(run, script);
  const got = [(await soon("the first message", first)).value.line];
  for (let i = 1; i < messages.length; i++) {
    const next = coming.next();
    await pause(5); // file times count milliseconds
    go.release();
    got.push((await soon(`message ${i + 1}`, next)).value.line);
  }
  go.release();
  await soon("the program's end", child.status);
  run.end();
  await run.settle();
  assertEquals(got, messages);
  assertEquals(await lines(output), messages);
});

Deno.test("a program far ahead of its log costs counted lines, not the disk", async () => {
  await using scene = new Scene();
  const output = scene.open({ limits: { spool_bytes: 100_000 } });
  const run = output.sink.open(WEB, 5);
  Deno.writeTextFileSync(
    run.files.stdout,
    Array.from({ length: 100_000 }, (_, i) => `${i + 1}\n`).join(""),
    { append: true },
  );
  run.end();
  await run.settle();
  const kept = (await lines(output)).map(Number);
  assertEquals(kept.at(-1), 100_000);
  assertEquals(kept, Array.from({ length: kept.length }, (_, i) => 100_001 - kept.length + i));
  assert(kept.length * 7 > 45_000 && kept.length < 20_000, `${kept.length} lines are kept`);
  assertEquals(output.stats().lost_lines, 100_000 - kept.length);
  await output[Symbol.asyncDispose]();
  const told = scene.events("output_lost");
  assertEquals(told.reduce((sum, { lines }) => sum + (lines as number), 0), 100_000 - kept.length);
  assertStringIncludes(told[0].reason as string, "ahead of its log");
});

Deno.test("recent lines survive the run and are those of this release", async () => {
  await using scene = new Scene();
  const output = scene.open();
  await runToEnd(output.sink.open(WEB, 3), "seq 1 3");
  const again = output.sink.open(WEB, 3);
  await runToEnd(again, "echo 4");
  assertEquals(again.recent().map(({ line }) => line), ["2", "3", "4"]);
  assertEquals(output.sink.open({ ...WEB, release: "v2" }, 3).recent(), []);
  assertEquals(output.sink.open(WEB, 1).recent().map(({ line }) => line), ["4"]);
});

Deno.test("a spool that cannot be made does not keep the program from running", async () => {
  await using scene = new Scene();
  const output = scene.open();
  assertEquals(Array.from(Deno.readDirSync(scene.spools)), []);
  Deno.writeTextFileSync(`${scene.spools}/runs`, "in the way");
  const run = output.sink.open(WEB, 50);
  assertEquals(run.files, { stdout: "/dev/null", stderr: "/dev/null" });
  await runToEnd(run, "echo unheard");
  const [told] = scene.events("output_lost");
  assertEquals([told.process, told.release, told.lines], ["web", "v1", 0]);
  assertStringIncludes(told.reason as string, `output files for "web"`);
});

Deno.test("ids become safe file names and come back", async () => {
  await using scene = new Scene();
  const output = scene.open();
  for (const id of ["daemon", "../up", ".hidden", "a b"]) {
    await runToEnd(output.sink.open({ instance: id, id }, 5), `echo from '${id}'`);
  }
  assertEquals(output.store.ids(), ["../up", ".hidden", "a b", "daemon"]);
  assertEquals(await lines(output, { process: "../up" }), ["from ../up"]);
  const names = Array.from(Deno.readDirSync(scene.logs), ({ name }) => name).sort();
  assertEquals(names, ["%2E.%2Fup.log", "%2Ehidden.log", "%64aemon.log", "a%20b.log", "spool"]);
});

Deno.test("reopen writes on in a new file and loses nothing", async () => {
  await using scene = new Scene();
  const output = scene.open();
  const run = output.sink.open(WEB, 50);
  await start(run, "echo before").status;
  await run.settle();
  Deno.renameSync(`${scene.logs}/web.log`, `${scene.logs}/moved`);
  await start(run, "echo between").status;
  await run.settle();
  assertEquals(await output.reopen(), [{ file: `${scene.logs}/web.log` }]);
  await start(run, "echo after").status;
  await run.settle();
  const text = (name: string) => Deno.readTextFileSync(`${scene.logs}/${name}`);
  assertEquals(text("moved").split("\n").length, 3);
  assertStringIncludes(text("web.log"), `"line":"after"`);
  assertEquals(text("web.log").split("\n").length, 2);
});

Deno.test("a file that cannot be reopened stays in use", async () => {
  await using scene = new Scene();
  const output = scene.open();
  const run = output.sink.open(WEB, 50);
  await start(run, "echo before").status;
  await run.settle();
  Deno.renameSync(`${scene.logs}/web.log`, `${scene.logs}/moved`);
  Deno.mkdirSync(`${scene.logs}/web.log`);
  const [{ error }] = await output.reopen();
  assertMatch(error!, /directory/i);
  await start(run, "echo after").status;
  await run.settle();
  assertStringIncludes(Deno.readTextFileSync(`${scene.logs}/moved`), `"line":"after"`);
});
