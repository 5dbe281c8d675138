import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { RotatingFile } from "../../../lib/telemetry/rotating_file.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A directory that is gone afterwards. */
function place(): { path: string; names(): string[] } & Disposable {
  const directory = Deno.makeTempDirSync({ prefix: "rotating" });
  return {
    path: `${directory}/a.log`,
    names: () => Array.from(Deno.readDirSync(directory), ({ name }) => name).sort(),
    [Symbol.dispose]: () => Deno.removeSync(directory, { recursive: true }),
  };
}

async function put(file: RotatingFile, text: string): Promise<void> {
  await file.makeRoom(text.length);
  assertEquals(await file.append(bytes(text)), { bytes: text.length });
}

Deno.test("the file turns over when it is full, and no more are kept than asked for", async () => {
  using where = place();
  using file = RotatingFile.open(where.path, { bytes: 10, files: 3 });
  for (const text of ["1111\n", "2222\n", "3333\n", "4444\n", "5555\n", "6666\n", "7777\n"]) {
    await put(file, text);
  }
  assertEquals(where.names(), ["a.log", "a.log.1", "a.log.2"]);
  assertEquals(
    [0, 1, 2].map((age) => Deno.readTextFileSync(file.pathOf(age))),
    ["7777\n", "5555\n6666\n", "3333\n4444\n"],
  );
  assertEquals(file.rotations, 3);
  assertEquals(Deno.statSync(where.path).mode! & 0o777, 0o600);
});

Deno.test("a batch bigger than a file still goes to one file, whole", async () => {
  using where = place();
  using file = RotatingFile.open(where.path, { bytes: 10, files: 2 });
  await put(file, "a\n");
  await put(file, "0123456789abcdef\n");
  await put(file, "b\n");
  assertEquals(Deno.readTextFileSync(file.pathOf(1)), "0123456789abcdef\n");
  assertEquals(Deno.readTextFileSync(file.path), "b\n");
});

Deno.test("one file only: the old one is replaced", async () => {
  using where = place();
  using file = RotatingFile.open(where.path, { bytes: 5, files: 1 });
  await put(file, "1111\n");
  await put(file, "2222\n");
  assertEquals([where.names(), Deno.readTextFileSync(where.path)], [["a.log"], "2222\n"]);
});

Deno.test("what is there is appended to, and a torn last line is ended", async () => {
  using where = place();
  Deno.writeTextFileSync(where.path, "whole\ntorn");
  using file = RotatingFile.open(where.path);
  await put(file, "next\n");
  assertEquals(Deno.readTextFileSync(where.path), "whole\ntorn\nnext\n");
});

Deno.test("reopen follows the name; the old file gets nothing any more", async () => {
  using where = place();
  using file = RotatingFile.open(where.path);
  await put(file, "old\n");
  Deno.renameSync(where.path, `${where.path}.moved`);
  assertEquals(file.reopen(), undefined);
  await put(file, "new\n");
  assertEquals(Deno.readTextFileSync(`${where.path}.moved`), "old\n");
  assertEquals(Deno.readTextFileSync(where.path), "new\n");
});

Deno.test("a reopen that fails says why and keeps the old file", async () => {
  using where = place();
  using file = RotatingFile.open(where.path);
  Deno.renameSync(where.path, `${where.path}.moved`);
  Deno.mkdirSync(where.path);
  assertMatch(file.reopen()!, /directory/i);
  await put(file, "still here\n");
  assertEquals(Deno.readTextFileSync(`${where.path}.moved`), "still here\n");
});

Deno.test("a rotation that fails: the file grows to twice its size, then refuses, then recovers", async () => {
  using where = place();
  using file = RotatingFile.open(where.path, { bytes: 10, files: 3 });
  await put(file, "1111\n2222\n");
  Deno.mkdirSync(`${where.path}.new`); // the next file cannot be made
  assertEquals(await file.makeRoom(5), false);
  assertEquals(await file.append(bytes("3333\n4444\n")), { bytes: 10 });
  assertEquals(await file.makeRoom(5), false);
  const refused = await file.append(bytes("5555\n"));
  assertEquals(refused.bytes, 0);
  assertStringIncludes(refused.error!, `cannot turn over "${where.path}"`);
  Deno.removeSync(`${where.path}.new`);
  assertEquals(await file.makeRoom(5), true);
  await put(file, "6666\n");
  assertEquals(Deno.readTextFileSync(file.pathOf(1)), "1111\n2222\n3333\n4444\n");
});

Deno.test("a gap in the numbers is no obstacle", async () => {
  using where = place();
  Deno.writeTextFileSync(`${where.path}.2`, "oldest\n");
  using file = RotatingFile.open(where.path, { bytes: 5, files: 5 });
  await put(file, "1111\n");
  await put(file, "2222\n");
  assertEquals(where.names(), ["a.log", "a.log.1", "a.log.3"]);
});

Deno.test("a write that fails half-way keeps whole lines only", async () => {
  using where = place();
  using file = RotatingFile.open(where.path);
  await put(file, "before\n");
  const write = Deno.FsFile.prototype.write;
  let calls = 0;
  Deno.FsFile.prototype.write = function (chunk) {
    if (++calls > 1) return Promise.reject(new Error("No space left on device"));
    return write.call(this, chunk.subarray(0, 7)); // "one\ntwo" of "one\ntwo\nthree\n"
  };
  try {
    assertEquals(await file.append(bytes("one\ntwo\nthree\n")), {
      bytes: 4,
      error: "No space left on device",
    });
  } finally {
    Deno.FsFile.prototype.write = write;
  }
  await put(file, "after\n");
  assertEquals(Deno.readTextFileSync(where.path), "before\none\nafter\n");
});

Deno.test("a file that cannot be opened is a Failure with its name", () => {
  using where = place();
  Deno.mkdirSync(where.path);
  const failure = assertThrows(() => RotatingFile.open(where.path), Failure);
  assertStringIncludes(failure.message, `cannot open log file "${where.path}"`);
});

Deno.test("a missing directory is made, for the owner only", () => {
  using where = place();
  const path = `${where.path}.d/deep/b.log`;
  using file = RotatingFile.open(path);
  assert(file.mark().inode > 0);
  assertEquals(Deno.statSync(`${where.path}.d/deep`).mode! & 0o777, 0o700);
});

Deno.test("/dev/null is a file like any other", async () => {
  using file = RotatingFile.open("/dev/null", { bytes: 10, files: 3 });
  for (let i = 0; i < 5; i++) await put(file, "1234567\n");
  assertEquals(file.rotations, 0);
});
