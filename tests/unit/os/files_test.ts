import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { makePrivateDir } from "../../../lib/os/dirs.ts";
import { atomicWrite, chmod, chown, readTextIfAny, removeIfThere } from "../../../lib/os/files.ts";
import { Scratch } from "../../kit/scratch.ts";
import { isRoot, sentenceOf, sentenceOfAsync } from "./machine.ts";

const modeOf = (path: string) => Deno.statSync(path).mode! & 0o7777;
const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

Deno.test("atomicWrite replaces the whole text, with its mode whatever the umask", async () => {
  using scratch = new Scratch();
  const path = scratch.path("state.json");
  await atomicWrite(path, "a much longer first text");
  assertEquals([readTextIfAny(path), modeOf(path)], ["a much longer first text", 0o600]);
  await atomicWrite(path, "ä", 0o666);
  assertEquals([readTextIfAny(path), modeOf(path)], ["ä", 0o666]);
  assertEquals(names(scratch.dir), ["state.json"]);
});

Deno.test("a reader never sees half a text", async () => {
  using scratch = new Scratch();
  const path = scratch.path("state");
  const texts = ["a", "b"].map((letter) => letter.repeat(300_000));
  await atomicWrite(path, texts[0]);
  let writing = true;
  const reader = (async () => {
    let reads = 0;
    for (; writing || reads === 0; reads++) {
      assert(texts.includes(await Deno.readTextFile(path)), "whole");
    }
    return reads;
  })();
  for (let i = 0; i < 50; i++) {
    await atomicWrite(path, texts[i % 2]);
  }
  writing = false;
  assert(await reader > 1);
});

Deno.test("what a killed writer left is removed; what a living one writes is not", async () => {
  using scratch = new Scratch();
  const path = scratch.path("state");
  scratch.write(".state.4194999.tmp", "dead");
  scratch.write(`.state.${Deno.ppid}.tmp`, "alive");
  scratch.write(".state.old.tmp", "somebody's own");
  scratch.write(".states.4194999.tmp", "another file's");
  await atomicWrite(path, "x");
  assertEquals(
    names(scratch.dir),
    [`.state.${Deno.ppid}.tmp`, ".state.old.tmp", ".states.4194999.tmp", "state"].sort(),
  );
});

Deno.test("a failed write says why, keeps the old text and leaves nothing", async () => {
  using scratch = new Scratch();
  assertStringIncludes(
    await sentenceOfAsync(atomicWrite(scratch.path("no/state"), "x")),
    `/no/state": no such file or directory | create the directory`,
  );
  Deno.mkdirSync(scratch.path("taken"));
  scratch.write("taken/x", "");
  assertStringIncludes(
    await sentenceOfAsync(atomicWrite(scratch.path("taken"), "x")),
    `cannot write "${scratch.path("taken")}": `,
  );
  assertEquals(names(scratch.dir), ["taken"]);
});

Deno.test({
  name: "a full disk is said, the old text stays",
  ignore: !isRoot,
  async fn() {
    using scratch = new Scratch();
    const mount = new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=64k", "tmpfs", scratch.dir],
    });
    if (!mount.outputSync().success) return console.log("not tested: mounting is not permitted");
    try {
      const path = scratch.path("state");
      await atomicWrite(path, "old");
      assertEquals(
        await sentenceOfAsync(atomicWrite(path, "x".repeat(200_000))),
        `cannot write "${path}": no space left on device | ` +
          `free space on the file system of "${scratch.dir}"`,
      );
      assertEquals([readTextIfAny(path), names(scratch.dir)], ["old", ["state"]]);
    } finally {
      new Deno.Command("umount", { args: [scratch.dir] }).outputSync();
    }
  },
});

Deno.test("readTextIfAny tells missing from unreadable", () => {
  using scratch = new Scratch();
  assertEquals(readTextIfAny(scratch.path("no")), undefined);
  assertEquals(readTextIfAny(scratch.path("no/no")), undefined);
  assertEquals(
    sentenceOf(() => readTextIfAny(scratch.dir)),
    `cannot read "${scratch.dir}": is a directory`,
  );
  removeIfThere(scratch.path("no"));
});

Deno.test("chmod and chown say what could not be done", () => {
  assertEquals(
    sentenceOf(() => chmod("/nope", 0o700)),
    `cannot set mode 0700 on "/nope": no such file or directory`,
  );
  assertEquals(
    sentenceOf(() => chown("/nope", 1, 2)),
    `cannot give "/nope" to owner 1 and group 2: no such file or directory`,
  );
  assertEquals(
    sentenceOf(() => chown("/nope", undefined, 2)),
    `cannot give "/nope" to group 2: no such file or directory`,
  );
});

Deno.test("a private directory is made with its parents and accepted the next time", () => {
  using scratch = new Scratch();
  const path = scratch.path("a/b/app");
  makePrivateDir(path);
  makePrivateDir(path);
  assertEquals([modeOf(path), modeOf(scratch.path("a/b"))], [0o700, 0o755]);
  makePrivateDir(scratch.path("c"), { mode: 0o710 });
  assertEquals(modeOf(scratch.path("c")), 0o710);
});

Deno.test("a directory that others could have prepared is refused, and not repaired", () => {
  using scratch = new Scratch();
  const path = scratch.path("app");
  const said = (options = {}) => sentenceOf(() => makePrivateDir(path, options));
  Deno.symlinkSync("/tmp", path);
  assertStringIncludes(said(), `refusing to use "${path}": it is a symbolic link`);
  Deno.removeSync(path);
  Deno.writeTextFileSync(path, "");
  assertStringIncludes(said(), "it is a file, not a directory");
  Deno.removeSync(path);
  Deno.mkdirSync(path);
  Deno.chmodSync(path, 0o770);
  assertStringIncludes(said(), "its group may write in it (mode 0770)");
  Deno.chmodSync(path, 0o707);
  assertStringIncludes(said(), "everybody may write in it (mode 0707)");
  assertEquals(modeOf(path), 0o707);
});

Deno.test("a directory in one where everybody may rename is refused, unless it is sticky", () => {
  using scratch = new Scratch();
  Deno.mkdirSync(scratch.path("open"));
  Deno.chmodSync(scratch.path("open"), 0o777);
  const path = scratch.path("open/app");
  assertStringIncludes(sentenceOf(() => makePrivateDir(path)), "everybody may replace it");
  Deno.chmodSync(scratch.path("open"), 0o1777);
  makePrivateDir(path);
});

Deno.test({
  name: "a directory of somebody else is refused, unless that owner was named",
  ignore: !isRoot,
  fn() {
    using scratch = new Scratch();
    const path = scratch.path("app");
    Deno.mkdirSync(path, { mode: 0o700 });
    Deno.chownSync(path, 65534, 65534);
    assertStringIncludes(
      sentenceOf(() => makePrivateDir(path)),
      "it belongs to uid 65534, this program runs as uid 0",
    );
    assertThrows(() => makePrivateDir(path, { owner: 1 }), Failure);
    makePrivateDir(path, { owner: 65534 });
  },
});

Deno.test("a directory that cannot be made says where and why", () => {
  using scratch = new Scratch();
  scratch.write("file", "");
  assertEquals(
    sentenceOf(() => makePrivateDir(scratch.path("file/app"))).split(" | ")[0],
    `cannot create the directory "${scratch.path("file")}": already exists`,
  );
});
