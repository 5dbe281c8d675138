/** Uploaded files: whose they are, which are taken, what a worker is told when a disk says no. */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { realSystem } from "../../../../../lib/os/real.ts";
import { readTree, sweepUploads, uploadNames } from "../../../../../plugins/http/body/mod.ts";
import { ManualClock } from "../../../../kit/manual_clock.ts";
import { Scratch } from "../../../../kit/scratch.ts";
import { hostWith, MULTIPART, multipart, namesIn, type Part, PieceBody, rulesOf } from "./kit.ts";

const isRoot = Deno.uid() === 0;

interface Entry {
  name: string;
  mime: string;
  size: number;
  error: number;
  tmpName: string;
}

/** Reads files `f[]`; their entries, and what to call at the end. */
async function upload(
  rules: ReturnType<typeof rulesOf>,
  host: ReturnType<typeof hostWith>,
  ...files: Partial<Part>[]
): Promise<{ entries: Entry[]; remove: () => Promise<void> }> {
  const parts = files.map((file) => ({ name: "f[]", filename: "f", content: "x", ...file }));
  const form = await readTree(new PieceBody(multipart(parts)), MULTIPART, rules, host);
  return { entries: JSON.parse(form.uploads ?? "{}").f, remove: () => form.remove() };
}

Deno.test("files are stored under names of ours, whatever the client calls them", async () => {
  using scratch = new Scratch();
  const dir = scratch.path("uploads");
  Deno.mkdirSync(dir);
  const names = [
    "../../escape.txt",
    "/etc/passwd",
    "..\\..\\boot.ini",
    "a/b",
    "%2e%2e%2fx",
    "ü \u202e.png",
  ];
  const files = names.map((filename) => ({ filename, type: "text/x" }));
  const { entries, remove } = await upload(rulesOf(dir), hostWith(), ...files);
  assertEquals(
    entries.map(({ name }) => name),
    ["escape.txt", "passwd", "boot.ini", "b", "%2e%2e%2fx", "ü \u202e.png"],
  );
  for (const { tmpName, error } of entries) {
    assertEquals([tmpName.startsWith(`${dir}/upload-`), error], [true, 0]);
  }
  assertEquals(namesIn(dir).length, names.length);
  assertEquals(namesIn(scratch.dir), ["uploads"]);
  await remove();
  assertEquals(namesIn(dir), []);
});

Deno.test("extensions: forbidden first, then the allowed ones, in any case; nothing of a refused file is written", async () => {
  using scratch = new Scratch();
  const files = ["a.PHP", "b.jpg", "c", "d.php.jpg", "e.txt", ".php"].map((filename) => ({
    filename,
  }));
  const cases: [string[], string[], number[]][] = [
    [[".php", ".exe"], [], [8, 0, 0, 0, 0, 8]],
    [[], [".jpg"], [8, 0, 8, 0, 8, 8]],
    [[".jpg"], [".jpg", ".txt"], [8, 8, 8, 8, 0, 8]],
  ];
  for (const [forbid, allow, codes] of cases) {
    const { entries, remove } = await upload(
      rulesOf(scratch.dir, { forbid, allow }),
      hostWith(),
      ...files,
    );
    assertEquals(entries.map(({ error }) => error), codes);
    for (const { error, size, tmpName } of entries) {
      if (error === 8) assertEquals([size, tmpName], [0, ""]);
    }
    assertEquals(namesIn(scratch.dir).length, codes.filter((code) => code === 0).length);
    await remove();
  }
});

Deno.test("no file chosen is error 4, and gives way to one that was", async () => {
  using scratch = new Scratch();
  const none = { name: "f", filename: "", type: "application/octet-stream", content: "" };
  const read = async (parts: Part[]) => {
    const form = await readTree(
      new PieceBody(multipart(parts)),
      MULTIPART,
      rulesOf(scratch.dir),
      hostWith(),
    );
    await form.remove();
    return JSON.parse(form.uploads!);
  };
  assertEquals(await read([none]), {
    f: { name: "", mime: "application/octet-stream", size: 0, error: 4, tmpName: "" },
  });
  const other = { name: "f[a]", filename: "x", content: "x" };
  assertEquals((await read([none, other])).f.a.error, 0);
  assertEquals((await read([other, none])).f.a.error, 0);
});

Deno.test("a missing directory is error 6, told once a request", async () => {
  using scratch = new Scratch();
  const directory = scratch.path("gone");
  const host = hostWith();
  const { entries, remove } = await upload(rulesOf(directory), host, {}, {
    content: "x".repeat(100_000),
  });
  for (const { error, size, tmpName } of entries) assertEquals([error, size, tmpName], [6, 0, ""]);
  assertEquals(host.told, [
    { event: "upload_failed", data: { directory, error: "no such file or directory" } },
  ]);
  await remove();
});

Deno.test("a name that is taken is never written into", async () => {
  using scratch = new Scratch();
  const victim = scratch.write("victim", "old");
  Deno.symlinkSync(victim, scratch.path("upload-0"));
  const { entries, remove } = await upload(rulesOf(scratch.dir), hostWith(), { content: "new" });
  assertEquals(entries[0].error, 6);
  await remove();
  assertEquals(scratch.read("victim"), "old");
  assertEquals(namesIn(scratch.dir), ["upload-0", "victim"]);
});

Deno.test({
  name: "files belong to the worker's user and group, for it alone",
  ignore: !isRoot,
  fn: async () => {
    using scratch = new Scratch();
    const host = hostWith({ uid: 12345, gid: 23456 });
    const { entries, remove } = await upload(rulesOf(scratch.dir), host, {});
    const { uid, gid, mode } = Deno.statSync(entries[0].tmpName);
    assertEquals([uid, gid, mode! & 0o777], [12345, 23456, 0o600]);
    await remove();
  },
});

Deno.test({
  name: "a full disk is error 7: the file is gone at once, the fields and the next file arrive",
  ignore: !isRoot,
  fn: async () => {
    using scratch = new Scratch();
    const dir = scratch.path("small");
    Deno.mkdirSync(dir);
    const run = (program: string, ...args: string[]) =>
      new Deno.Command(program, { args, stderr: "null" }).outputSync().success;
    if (!run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir)) return; // not in this container
    try {
      const host = hostWith();
      const large = { content: new Uint8Array(200_000) };
      const { entries, remove } = await upload(rulesOf(dir), host, large, { content: "small" });
      assertEquals(entries.map(({ error }) => error), [7, 0]);
      assertEquals([entries[0].size, entries[0].tmpName], [0, ""]);
      assertEquals(namesIn(dir), ["upload-1"]);
      assertEquals(host.told, [
        { event: "upload_failed", data: { directory: dir, error: "no space left on device" } },
      ]);
      await remove();
    } finally {
      assert(run("umount", dir));
    }
  },
});

Deno.test("what cannot be removed is told", async () => {
  using scratch = new Scratch();
  const host = hostWith();
  const { entries, remove } = await upload(rulesOf(scratch.dir), host, {});
  const path = entries[0].tmpName;
  Deno.removeSync(path);
  Deno.mkdirSync(`${path}/child`, { recursive: true });
  await remove();
  assertEquals(host.told.map(({ event, data }) => [event, data.path]), [["upload_left", path]]);
});

Deno.test("names cannot be guessed and say who made them", () => {
  using system = realSystem();
  const name = uploadNames(system);
  const start = system.identify(Deno.pid)!.start;
  assertMatch(name(), new RegExp(`^supervisor-upload-${Deno.pid}-${start}-[0-9a-f]{32}$`));
  assertNotEquals(name(), name());
});

Deno.test("a sweep removes old files of dead daemons, and nothing else", async () => {
  using scratch = new Scratch();
  using system = realSystem();
  const clock = new ManualClock(Date.now());
  const random = "0123456789abcdef0123456789abcdef";
  const dead = `supervisor-upload-${Deno.pid}-1-${random}`;
  scratch.write(dead, "left");
  scratch.write(uploadNames(system)(), "of a living daemon");
  scratch.write("supervisor-upload-1-notes.txt", "of a user");
  scratch.write(`x${dead}`, "of a user");
  Deno.mkdirSync(scratch.path(dead.replace("0123", "aaaa")));
  Deno.symlinkSync(scratch.path(dead), scratch.path(dead.replace("0123", "bbbb")));
  if (isRoot) {
    Deno.chownSync(scratch.write(dead.replace("0123", "cccc"), "of a stranger"), 12345, 12345);
  }
  const before = namesIn(scratch.dir);
  const host = { ...hostWith(), system, clock };
  await sweepUploads(scratch.dir, host);
  assertEquals(namesIn(scratch.dir), before, "too young");
  clock.jumpWall(25 * 60 * 60 * 1000);
  await sweepUploads(scratch.dir, host);
  assertEquals(namesIn(scratch.dir), before.filter((name) => name !== dead));
  assertEquals(host.told, [{ event: "uploads_swept", data: { directory: scratch.dir, files: 1 } }]);
  if (isRoot) {
    await sweepUploads(scratch.dir, host, { uid: 12345, gid: 12345 });
    assertEquals(namesIn(scratch.dir).length, before.length - 2);
  }
});

Deno.test("a sweep of no directory is told and goes on", async () => {
  using system = realSystem();
  const host = { ...hostWith(), system, clock: new ManualClock() };
  await sweepUploads("/nowhere/at/all", host);
  assertEquals(host.told.map(({ event }) => event), ["upload_failed"]);
});
