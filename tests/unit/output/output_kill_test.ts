/** The daemon is killed with SIGKILL; its successor goes on. No line is lost, none is repeated. */

import { assert, assertEquals } from "@std/assert";
import { Fifo } from "../../kit/gate.ts";
import { soon, until } from "../../kit/wait.ts";
import { LIMITS, PRINTED } from "./follower.ts";
import { read, Scene, seen, start } from "./scene.ts";

/** For a follower to start and read megabytes on a machine that has much to do, milliseconds. */
const READ_LIMIT = 60_000;
const FOLLOWER = new URL("./follower.ts", import.meta.url).pathname;

/** Runs a follower; true: it was killed before it had finished. */
async function follow(directory: string, step: number, mode: string): Promise<boolean> {
  const { signal, success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--unstable-net", FOLLOWER, directory, `${step}`, mode],
    stdout: "null",
    stderr: "piped",
  }).output();
  assert(success || signal === "SIGKILL", new TextDecoder().decode(stderr));
  return !success;
}

for (
  const [mode, steps] of [
    ["before", [1, 2, 5, 6, 22]],
    ["after", [1, 2, 5, 6, 8, 23]],
    ["half", [1, 2, 16]],
  ] as const
) {
  Deno.test(`killed ${mode} a step: every line once, in order`, async () => {
    for (const step of steps) {
      await using scene = new Scene();
      assert(await follow(scene.logs, step, mode), `step ${step} was never reached`);
      await follow(scene.logs, step + 1, mode); // the successor dies, too, unless it is done before
      await follow(scene.logs, 0, mode);
      const output = scene.open({ limits: LIMITS });
      const printed = Array.from({ length: PRINTED }, (_, i) => String(i + 1));
      const records = await read(output);
      for (const stream of ["stdout", "stderr"]) {
        const got = records.filter((record) => record.stream === stream).map(({ line }) => line);
        assertEquals(got, printed, `${mode} step ${step}, ${stream}`);
      }
      assertEquals(scene.left(), []);
    }
  });
}

Deno.test("followers of a printing program die one after the other: every line once", async () => {
  await using scene = new Scene();
  const limits = { ...LIMITS, rotation: { bytes: 200_000, files: 100 } };
  const first = scene.open({ limits });
  const run = first.sink.open({ instance: "web", id: "web" }, 5);
  const child = start(
    run,
    "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; echo err $i >&2; done; echo over",
  );
  await first[Symbol.asyncDispose]();
  const log = `${scene.logs}/web.log`;
  for (const files of [1, 3, 6, 9]) {
    const follower = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--unstable-net", FOLLOWER, scene.logs, "0", "live"],
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const grown = () => Array.from(Deno.readDirSync(scene.logs)).length > files;
    await until("the follower reads on", grown, READ_LIMIT);
    follower.kill("SIGKILL");
    await follower.status;
    assert(Deno.statSync(log).isFile);
  }
  await soon("the program's end", child.status);
  const last = scene.open({ limits });
  last.recover(() => false);
  await last.settle();
  const records = await read(last);
  const of = (stream: string) =>
    records.filter((record) => record.stream === stream).map(({ line }) => line);
  const numbers = Array.from({ length: 20_000 }, (_, i) => String(i + 1));
  assertEquals(of("stdout"), [...numbers, "over"]);
  assertEquals(of("stderr"), numbers.map((number) => `err ${number}`));
  assertEquals(scene.left(), []);
});

Deno.test("the program goes on while its daemon is dead, and is followed on", async () => {
  await using scene = new Scene();
  const dead = scene.open();
  const run = dead.sink.open({ instance: "web#0", id: "web", release: "v1" }, 5);
  await using go = new Fifo(`${scene.directory}/go`);
  const child = start(
    run,
    `exec 3<${go.path}; seq 1 1000; read x <&3; seq 1001 2000; read x <&3; seq 2001 2500`,
  );
  await seen(dead, "1000");
  await dead[Symbol.asyncDispose](); // leaves what a killed one leaves: run, position, spools
  go.release();

  const next = scene.open();
  const [found, ...more] = next.recover(() => true, 7);
  assertEquals(more, []);
  assertEquals([found.instance, found.id, found.release], ["web#0", "web", "v1"]);
  await seen(next, "2000");
  const at2500 = seen(next, "2500");
  go.release();
  await soon("the program's end", child.status);
  found.run.end();
  await found.run.settle();
  await at2500;
  const records = await read(next);
  assertEquals(records.map(({ line }) => line), Array.from({ length: 2500 }, (_, i) => `${i + 1}`));
  assert(records.every(({ release }) => release === "v1"));
  assertEquals(found.run.recent().map(({ line }) => line)[0], "2494");
  assertEquals(scene.left(), []);
  assertEquals(scene.events("output_recovered").length, 1);
});

Deno.test("a run file damaged by a power cut: the rest is still read", async () => {
  await using scene = new Scene();
  const first = scene.open();
  const run = first.sink.open({ instance: "web#1", id: "web" }, 5);
  Deno.writeTextFileSync(run.files.stdout, "one\ntwo\n");
  await first[Symbol.asyncDispose]();
  const [file] = Deno.readDirSync(`${scene.spools}/runs`);
  Deno.truncateSync(`${scene.spools}/runs/${file.name}`, 0);
  const next = scene.open();
  assertEquals(next.recover(() => false), []);
  await next.settle();
  const records = await read(next);
  assertEquals(records.map(({ process, line }) => [process, line]), [["web#1", "one"], [
    "web#1",
    "two",
  ]]);
  assertEquals(scene.left(), []);
});

Deno.test("late lines carry the time at which they were printed", async () => {
  await using scene = new Scene();
  const first = scene.open();
  const run = first.sink.open({ instance: "web", id: "web" }, 5);
  await first[Symbol.asyncDispose]();
  Deno.writeTextFileSync(run.files.stdout, "late\n");
  const printed = new Date("2026-01-02T03:04:05.678Z");
  Deno.utimeSync(run.files.stdout, printed, printed);
  const next = scene.open();
  next.recover(() => false);
  await next.settle();
  assertEquals((await read(next)).map(({ at }) => at), [printed.toISOString()]);
});

Deno.test("spools that somebody removed are no obstacle", async () => {
  await using scene = new Scene();
  const first = scene.open();
  const run = first.sink.open({ instance: "web", id: "web" }, 5);
  Deno.writeTextFileSync(run.files.stderr, "kept\n");
  await first[Symbol.asyncDispose]();
  Deno.removeSync(run.files.stdout);
  const next = scene.open();
  next.recover(() => false);
  await next.settle();
  assertEquals((await read(next)).map(({ line }) => line), ["kept"]);
  assertEquals(scene.left(), []);
});
