import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { readRow } from "../../../lib/os/proc.ts";
import { spawnPiped } from "../../../lib/os/spawn_piped.ts";
import type { PipedChild, SpawnSpec } from "../../../lib/os/system.ts";
import { Scratch } from "../../kit/scratch.ts";
import { isRoot, PATH, sentenceOf, TestMachine } from "./machine.ts";

const nobody = { user: "nobody", uid: 65534, gid: 65534, home: "/nonexistent" };

/** Says something to a program, and what it said until it ended. */
async function talk(child: PipedChild, words = "") {
  const writer = child.stdin.getWriter();
  // Who does not read ends before it has heard us, which is its right.
  const said = writer.write(new TextEncoder().encode(words)).then(() => writer.close())
    .catch(() => {});
  const stdout = await new Response(child.stdout as ReadableStream<Uint8Array<ArrayBuffer>>).text();
  await said;
  return { pid: child.pid, stdout, status: await child.exited };
}

/** Runs a program to its end. */
async function run(argv: string[], more: Partial<SpawnSpec> = {}, words?: string) {
  using scratch = new Scratch();
  const output = { stdout: "/nope", stderr: scratch.path("err") };
  const child = spawnPiped({ argv, cwd: "/", env: { PATH }, output, ...more });
  return { ...await talk(child, words), stderr: scratch.read("err") };
}

const shell = (script: string, more?: Partial<SpawnSpec>) => run(["/bin/sh", "-c", script], more);

Deno.test("piped: words go in and come out, stderr is appended to its file", async () => {
  using scratch = new Scratch();
  const output = { stdout: "/nope", stderr: scratch.write("err", "before\n") };
  const argv = ["sh", "-c", "cat; echo err >&2"];
  const { stdout } = await talk(spawnPiped({ argv, cwd: "/", env: { PATH }, output }), "hello");
  assertEquals([stdout, scratch.read("err")], ["hello", "before\nerr\n"]);
});

Deno.test("piped: a program gets exactly the environment it was given, whatever a shell thinks of it", async () => {
  const env: Record<string, string> = {
    PATH,
    "a.b": "x",
    EMPTY: "",
    TEXT: "a\nb",
    "ü": "ß",
    o: "=",
  };
  // What shells set, check or refuse.
  for (const name of ["PWD", "OLDPWD", "SHLVL", "_", "IFS", "PPID", "OPTIND", "LINENO", "PS1"]) {
    env[name] = "/a b";
  }
  for (const given of [{ PATH }, env, { PATH, "a.b": "x" }]) {
    const { stdout } = await run(["env", "-0"], { env: given });
    const got = stdout.split("\0").filter((pair) => pair !== "");
    const wanted = Object.entries(given).map(([name, value]) => `${name}=${value}`);
    assertEquals(got.sort(), wanted.sort());
  }
});

Deno.test("piped: arguments arrive as they are, also to a program whose path looks like a variable", async () => {
  using scratch = new Scratch();
  Deno.copyFileSync("/usr/bin/printf", scratch.path("a=b"));
  for (const program of ["printf", scratch.path("a=b")]) {
    const { stdout } = await run([program, "[%s]", "a b", "", "$HOME", "`id`", "'", "\n"], {
      env: { PATH, "x.y": "z" },
    });
    assertEquals(stdout, "[a b][][$HOME][`id`]['][\n]");
  }
});

Deno.test("piped: the pid is the program's own, in a session of its own, in its directory", async () => {
  using scratch = new Scratch();
  const { pid, stdout } = await shell("pwd -P; cat /proc/$$/stat", { cwd: scratch.dir });
  const fields = stdout.slice(stdout.lastIndexOf(")") + 2).split(" ").map(Number);
  assertEquals(stdout.split(" ")[0], `${scratch.dir}\n${pid}`);
  assertEquals(fields.slice(1, 5), [Deno.pid, pid, pid, 0]);
});

Deno.test("piped: no descriptor of ours but the two pipes is inherited, none is left open", async () => {
  using scratch = new Scratch();
  using _file = Deno.openSync(scratch.write("secret", "x"));
  using _listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const output = { stdout: "/nope", stderr: scratch.path("err") };
  const first = spawnPiped({ argv: ["cat"], cwd: "/", env: { PATH }, output });
  const links = [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return []; // that of the listing itself
    }
  });
  assertEquals(links.filter((link) => link === output.stderr), []);
  const { stdout } = await shell("ls -l /proc/self/fd");
  assert(!stdout.includes("secret") && !stdout.includes("socket:"), stdout);
  // Only when nobody else holds the first one's stdin does closing it end that one.
  assertEquals((await talk(first, "x")).status, { code: 0, signal: null });
});

Deno.test("piped: how it ended: code or signal", async () => {
  assertEquals((await shell("exit 7")).status, { code: 7, signal: null });
  assertEquals((await shell("kill -KILL $$")).status, { code: null, signal: "SIGKILL" });
});

Deno.test({
  name: "piped: a signal that the runtime has no name for is an end all the same",
  sanitizeResources: false, // its own record of such a child is never taken back by Deno 2.7
  async fn() {
    assertEquals((await shell("kill -35 $$")).status, { code: null, signal: null });
  },
});

Deno.test("piped: who ends is left to the runtime, even by one who adopts and reaps orphans", async () => {
  using scratch = new Scratch();
  const lib = (name: string) => JSON.stringify(new URL(`../../../lib/os/${name}`, import.meta.url));
  // A program of its own: only on a main thread are children of unknown origin taken for orphans.
  const script = scratch.write(
    "adopt.ts",
    `import { realSystem } from ${lib("real.ts")};
     import { children } from ${lib("children.ts")};
     import { readRow } from ${lib("proc.ts")};
     const system = realSystem({ adoptOrphans: true });
     const codes = [];
     for (let code = 0; code < 10; code++) {
       const argv = ["/bin/sh", "-c", "exit " + code];
       const child = system.spawnPiped({ argv, cwd: "/", env: { PATH: "/usr/bin:/bin" } });
       while (readRow(child.pid).state !== "Z"); // it has ended, and the runtime has had no turn yet
       children.reap();
       codes.push((await child.exited).code);
       await Promise.all([child.stdin.abort(), child.stdout.cancel()]);
     }
     console.log(codes.join(" "));
     system[Symbol.dispose]();`,
  );
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script],
    cwd: new URL("../../..", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "0 1 2 3 4 5 6 7 8 9\n");
});

Deno.test("piped: it leads a group that can be signalled and waited for", async () => {
  await using machine = new TestMachine();
  const argv = ["sh", "-c", "sleep 1000 & echo up; wait"];
  const child = machine.system.spawnPiped({ argv, cwd: "/", env: { PATH } });
  assertEquals(child.start, readRow(child.pid)!.start);
  const reader = child.stdout.getReader();
  assertEquals(new TextDecoder().decode((await reader.read()).value), "up\n");
  assertEquals(machine.members(child).length, 2);
  assert(machine.system.signalGroup(machine.id(child), "SIGKILL"));
  await machine.system.groupGone(child.pid);
  assertEquals(await child.exited, { code: null, signal: "SIGKILL" });
  assertEquals((await reader.read()).done, true);
  await child.stdin.abort();
});

Deno.test("piped: what is wrong is said before anything is started", () => {
  using scratch = new Scratch();
  const cwd = scratch.dir;
  const said = (argv: string[], more: Partial<SpawnSpec> = {}) =>
    sentenceOf(() => spawnPiped({ argv, cwd, env: { PATH }, ...more }));
  const script = (text: string) => scratch.write("script", text, 0o755);
  assertStringIncludes(said(["nope"]), `cannot start "nope": there is no such program in PATH`);
  assertStringIncludes(said(["true"], { cwd: "/nope" }), `directory "/nope" does not exist`);
  assertStringIncludes(said(["true", "a\0b"]), "an argument contains a NUL byte");
  assertStringIncludes(said(["true"], { env: { "A=B": "c" } }), `variable "A=B" cannot be passed`);
  assertStringIncludes(
    said([script("#! /nope/php -n\n")]),
    `asks for "/nope/php", which is not there`,
  );
  assertStringIncludes(said([script("#!/bin/sh\r\n")]), "Windows line ends");
  assertStringIncludes(
    said(["true", "x".repeat(3_000_000)]),
    `cannot start "true": arguments and environment are too long | shorten the arguments`,
  );
  assertStringIncludes(
    said(["true"], { output: { stdout: "/nope", stderr: "/nope/err" } }),
    `cannot start "true": cannot open "/nope/err" for its output: no such file or directory`,
  );
});

Deno.test("piped: a program that cannot be executed says so in the stderr file", async () => {
  using scratch = new Scratch();
  const file = scratch.write("bad", "\x7fELF no", 0o755);
  const { status, stderr } = await run([file]);
  assertMatch(String(status.code), /^12[67]$/);
  assertStringIncludes(stderr!, file);
});

Deno.test({
  name: "piped: as another user: its ids and groups, its file opened with our rights",
  ignore: !isRoot,
  async fn() {
    using scratch = new Scratch();
    Deno.mkdirSync(scratch.path("private"), { mode: 0o700 });
    const output = { stdout: "/nope", stderr: scratch.path("private/err") };
    const argv = ["sh", "-c", "echo $$ $(id -u) $(id -g) $(id -G) $A; echo oops >&2"];
    const env = { PATH, A: "1", "b.c": "2" };
    const child = spawnPiped({ argv, cwd: "/", env, identity: nobody, output });
    const { stdout, status } = await talk(child);
    assertEquals(status, { code: 0, signal: null });
    assertEquals(stdout, `${child.pid} 65534 65534 65534 1\n`);
    assertEquals(scratch.read("private/err"), "oops\n");
    assertEquals(Deno.statSync(output.stderr).uid, 65534, "/dev/stderr can be opened anew");
  },
});

Deno.test({
  name: "piped: only root may start as another user",
  ignore: isRoot,
  fn() {
    const identity = { ...nobody, uid: 1 };
    const said = sentenceOf(() =>
      spawnPiped({ argv: ["true"], cwd: "/", env: { PATH }, identity })
    );
    assertStringIncludes(said, "only root may change the user");
  },
});
