/** A full disk: lines are counted as lost, the program notices nothing, the spool is freed. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { smallDisk, smallDiskTest } from "../../kit/small_disk.ts";
import { lines, Scene, start } from "./scene.ts";

smallDiskTest("a full log disk costs counted lines, and nothing else", async () => {
  await using scene = new Scene();
  const disk = `${scene.directory}/disk`;
  using _disk = smallDisk(disk, "300k");
  const output = scene.open({ log_dir: disk, limits: { free_step: 64 * 1024 } });
  const run = output.sink.open({ instance: "web", id: "web", release: "v1" }, 5);
  const child = start(run, "seq 1 20000 && echo fine >&2");
  assertEquals((await child.status).code, 0);
  await run.settle();
  const kept = (await lines(output)).filter((line) => line !== "fine");
  assertEquals(kept, Array.from({ length: kept.length }, (_, i) => String(i + 1)));
  assert(kept.length > 1000 && kept.length < 19_000, `${kept.length} lines were kept`);
  const lost = output.stats().lost_lines;
  assert(lost === 20_000 - kept.length || lost === 20_001 - kept.length, `${lost} are counted`);
  assert(Deno.statSync(run.files.stdout).blocks! * 512 < 128 * 1024, "the spool was not freed");
  assertEquals(run.recent().some(({ line }) => line === "20000"), true);

  const told = scene.events("output_lost");
  assertEquals(told.length, 1, "more than one event in a minute");
  assertStringIncludes(told[0].reason as string, "No space left");

  Deno.removeSync(`${disk}/web.log`);
  await output.reopen();
  await start(run, "echo again").status;
  run.end();
  await run.settle();
  assertEquals(await lines(output), ["again"]);
  await output[Symbol.asyncDispose]();
  const sum = scene.events("output_lost").reduce((sum, { lines }) => sum + (lines as number), 0);
  assertEquals(sum, lost, "the events tell how many lines were lost");
});
