import { assertEquals, assertThrows } from "@std/assert";
import { type DirectoryWatch, pollDirectory, watchDirectory } from "../../../lib/os/watch.ts";
import { Scratch } from "../../kit/scratch.ts";
import { pause, until } from "../../kit/wait.ts";

type Watch = (path: string, onChange: (name: string) => void) => DirectoryWatch;

for (
  const [kind, watch] of Object.entries({ watchDirectory, pollDirectory } as Record<string, Watch>)
) {
  Deno.test(`${kind}: names of what is made, written, renamed and removed`, async () => {
    using scratch = new Scratch();
    scratch.write("old", "x");
    const seen = new Set<string>();
    const watching = watch(scratch.dir, (name) => seen.add(name));
    const told = async (name: string, act: () => void) => {
      await pause(20); // lets what went before be told first
      seen.clear();
      act();
      await until(name, () => seen.has(name) || seen.has(""));
    };
    await told("new", () => scratch.write("new", ""));
    await told("old", () => Deno.writeTextFileSync(scratch.path("old"), "more", { append: true }));
    await told("moved", () => Deno.renameSync(scratch.path("new"), scratch.path("moved")));
    await told("old", () => Deno.removeSync(scratch.path("old")));
    watching.close();
    watching.close();
    seen.clear();
    scratch.write("late", "");
    await pause(30);
    assertEquals(seen.size, 0, "nothing after close");
  });
}

Deno.test("a program that writes is noticed; opening, reading and closing are no change", async () => {
  using scratch = new Scratch();
  const path = scratch.write("spool", "x");
  const seen = new Set<string>();
  const watching = watchDirectory(scratch.dir, (name) => seen.add(name));
  assertEquals(watching.mode, "notified");
  const run = (script: string) => new Deno.Command("sh", { args: ["-c", script] }).output();
  await run(`cat ${path}; : >>${path}`);
  await run(`echo line >${scratch.path("other")}`); // is told after whatever the first one caused
  await until("the change", () => seen.has("other"));
  assertEquals([...seen], ["other"]);
  await run(`echo line >>${path}`);
  await until("the line", () => seen.has("spool"));
  watching.close();
});

Deno.test("more changes at once than the runtime keeps: the rest is told as anything", async () => {
  using scratch = new Scratch();
  const seen = new Set<string>();
  const watching = watchDirectory(scratch.dir, (name) => seen.add(name));
  const names = Array.from({ length: 100 }, (_, number) => `file-${number}`);
  for (const name of names) scratch.write(name, "");
  await until("each of them, or anything", () => {
    return seen.has("") || names.every((name) => seen.has(name));
  });
  watching.close();
});

Deno.test("closing in the callback and right after opening is fine, in any number", async () => {
  using scratch = new Scratch();
  for (let i = 0; i < 30; i++) watchDirectory(scratch.dir, () => {}).close();
  let calls = 0;
  const watching = watchDirectory(scratch.dir, () => {
    calls++;
    watching.close();
  });
  scratch.write("a", "");
  scratch.write("b", "");
  await until("a call", () => calls > 0);
  await pause(20);
  assertEquals(calls, 1);
});

Deno.test("a missing directory is the caller's error", () => {
  assertThrows(() => watchDirectory("/nope", () => {}), Deno.errors.NotFound);
});

Deno.test("a watched directory that is removed ends nothing but itself", async () => {
  using scratch = new Scratch();
  Deno.mkdirSync(scratch.path("d"));
  let calls = 0;
  const watching = watchDirectory(scratch.path("d"), () => calls++);
  Deno.removeSync(scratch.path("d"));
  await until("a call", () => calls > 0);
  watching.close();
});
