import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { spawn } from "../../../lib/os/spawn.ts";
import { readRow } from "../../../lib/os/proc.ts";
import type { SpawnSpec } from "../../../lib/os/system.ts";
import { Scratch } from "../../kit/scratch.ts";
import { isRoot, PATH, sentenceOf } from "./machine.ts";

const nobody = { user: "nobody", uid: 65534, gid: 65534, home: "/nonexistent" };

/** Runs a program to its end; what it wrote and how it ended. */
async function run(argv: string[], more: Partial<SpawnSpec> = {}) {
  using scratch = new Scratch();
  const output = { stdout: scratch.path("out"), stderr: scratch.path("err") };
  const child = spawn({ argv, cwd: "/", env: { PATH }, output, ...more });
  const status = await child.exited;
  return { pid: child.pid, status, stdout: scratch.read("out"), stderr: scratch.read("err") };
}

const shell = (script: string, more?: Partial<SpawnSpec>) => run(["/bin/sh", "-c", script], more);

Deno.test("a program gets exactly the environment it was given", async () => {
  const env = { PATH, "spring.profiles": "x", EMPTY: "", LINES: "a\nb", o: "x", "ü": "ß" };
  const { stdout } = await run(["env", "-0"], { env });
  const got = stdout!.split("\0").filter((pair) => pair !== "");
  assertEquals(got.sort(), Object.entries(env).map(([name, value]) => `${name}=${value}`).sort());
});

Deno.test("arguments arrive as they are", async () => {
  const { stdout } = await run(["printf", "[%s]", "a b", "", "$HOME", "`id`", "'", "\n"]);
  assertEquals(stdout, "[a b][][$HOME][`id`]['][\n]");
});

Deno.test("stdout and stderr go to their files, at their ends; stdin is empty", async () => {
  using scratch = new Scratch();
  const output = { stdout: scratch.write("out", "before\n"), stderr: scratch.path("err") };
  const spec = { argv: ["sh", "-c", "cat; echo out; echo err >&2"], cwd: "/", env: { PATH } };
  await spawn({ ...spec, output }).exited;
  assertEquals([scratch.read("out"), scratch.read("err")], ["before\nout\n", "err\n"]);
  assertEquals(Deno.statSync(output.stderr).mode! & 0o077, 0, "others may not read it");
});

Deno.test("without files the output goes nowhere", async () => {
  const child = spawn({ argv: ["sh", "-c", "echo x && echo y >&2"], cwd: "/", env: { PATH } });
  assertEquals(await child.exited, { code: 0, signal: null });
});

Deno.test("the pid is the program's own, in a session and group of its own, without a terminal", async () => {
  const { pid, stdout } = await shell("cat /proc/$$/stat");
  const fields = stdout!.slice(stdout!.lastIndexOf(")") + 2).split(" ").map(Number);
  assertEquals(stdout!.split(" ")[0], String(pid));
  assertEquals(fields.slice(1, 5), [Deno.pid, pid, pid, 0]);
});

Deno.test("no signal is blocked or ignored and no descriptor of ours is inherited", async () => {
  using scratch = new Scratch();
  using _file = Deno.openSync(scratch.write("secret", "x"));
  using _listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { stdout } = await run([
    "sh",
    "-c",
    "grep -E 'SigBlk|SigIgn' /proc/self/status; ls -l /proc/self/fd",
  ]);
  assertMatch(stdout!, /SigBlk:\t0{16}/);
  // 32 and 33 belong to glibc itself.
  const ignored = BigInt("0x" + /SigIgn:\t(\w+)/.exec(stdout!)![1]) & 0x7fffffffn;
  assertEquals(ignored, 0n);
  assert(!stdout!.includes("secret") && !stdout!.includes("socket:"), stdout);
});

Deno.test("how it ended: code, signal, real-time signal", async () => {
  assertEquals((await shell("exit 7")).status, { code: 7, signal: null });
  assertEquals((await shell("kill -KILL $$")).status, { code: null, signal: "SIGKILL" });
  assertEquals((await shell("kill -SEGV $$")).status, { code: null, signal: "SIGSEGV" });
  assertEquals((await shell("kill -35 $$")).status, { code: null, signal: "SIG35" });
});

Deno.test("many programs that end at the same time all settle with their own status", async () => {
  const wanted = Array.from({ length: 200 }, (_, i) => i % 250);
  const children = wanted.map((code) =>
    spawn({ argv: ["/bin/sh", "-c", `exit ${code}`], cwd: "/", env: { PATH } })
  );
  const statuses = await Promise.all(children.map((child) => child.exited));
  assertEquals(statuses.map((status) => status.code), wanted);
});

Deno.test("programs of the runtime in the same process are left to the runtime", async () => {
  const ours = Array.from(
    { length: 40 },
    () => spawn({ argv: ["/bin/sh", "-c", "exit 3"], cwd: "/", env: { PATH } }).exited,
  );
  const theirs = Array.from(
    { length: 40 },
    () => new Deno.Command("/bin/sh", { args: ["-c", "exit 4"] }).output(),
  );
  assertEquals((await Promise.all(ours)).filter(({ code }) => code === 3).length, 40);
  assertEquals((await Promise.all(theirs)).filter(({ code }) => code === 4).length, 40);
});

Deno.test("the start time identifies the program", async () => {
  const child = spawn({ argv: ["sleep", "1000"], cwd: "/", env: { PATH } });
  assertEquals(child.start, readRow(child.pid)!.start);
  Deno.kill(child.pid, "SIGKILL");
  await child.exited;
});

Deno.test("a program is looked up in its own PATH, and relative ones in its own directory", async () => {
  using scratch = new Scratch();
  scratch.write("bin/tool", "#!/bin/sh\necho found $0 in $(pwd)\n", 0o755);
  scratch.write("plain/tool", "", 0o644);
  const cwd = scratch.dir;
  const found = `${cwd}/bin/tool`;
  const env = { PATH: `/nope:${cwd}/plain:bin:/usr/bin:/bin` };
  assertEquals((await run(["tool"], { cwd, env })).stdout, `found ${found} in ${cwd}\n`);
  assertEquals((await run(["bin/tool"], { cwd, env })).stdout, `found ${found} in ${cwd}\n`);
  assertEquals(
    (await run(["tool"], { cwd: `${cwd}/bin`, env: { PATH: ":/bin:/usr/bin" } })).status.code,
    0,
  );
});

Deno.test("what is wrong with the program is said before anything is started", () => {
  using scratch = new Scratch();
  const cwd = scratch.dir;
  const file = (name: string, text: string) => scratch.write(name, text, 0o755);
  const plain = scratch.write("plain", "x");
  const said = (...argv: string[]) =>
    sentenceOf(() => spawn({ argv, cwd, env: { PATH: `${cwd}:/bin` } }));
  assertEquals(
    said("nope"),
    `cannot start "nope": there is no such program in PATH "${cwd}:/bin" | ` +
      "install it, write its full path, or set PATH in env",
  );
  assertStringIncludes(said("./nope"), `cannot start "./nope": there is no file "${cwd}/./nope"`);
  assertStringIncludes(said("/nope/x"), `cannot start "/nope/x": there is no such file`);
  assertStringIncludes(said(cwd), "it is a directory");
  assertStringIncludes(said("plain"), `"${plain}" is not executable | make it executable`);
  assertStringIncludes(said("./plain"), "it is not executable");
  assertStringIncludes(said(""), "the program name is empty");
  assertStringIncludes(
    said(file("bad", "#! /nope/php -n\n")),
    `asks for "/nope/php", which is not`,
  );
  assertStringIncludes(said(file("crlf", "#!/bin/sh\r\n")), `"/bin/sh\\r", which is not there`);
  assertStringIncludes(said(file("crlf2", "#!/bin/sh\r\n")), "Windows line ends");
  assertStringIncludes(said(file("text", "echo hi\n")), "neither a program of this machine nor a");
  assertStringIncludes(
    said("true", "x".repeat(3_000_000)),
    "arguments and environment are too long",
  );
  assertStringIncludes(said("true", "a\0b"), "an argument contains a NUL byte");
});

Deno.test("what is wrong around the program is said, too, with all facts for machines", () => {
  using scratch = new Scratch();
  const file = scratch.write("file", "");
  const spec = { argv: ["true", "-x"], cwd: "/", env: { PATH } };
  const said = (more: Partial<SpawnSpec>) => sentenceOf(() => spawn({ ...spec, ...more }));
  assertStringIncludes(said({ cwd: "/nope" }), `the working directory "/nope" does not exist`);
  assertStringIncludes(said({ cwd: file }), `the working directory "${file}" is not a directory`);
  assertStringIncludes(
    said({ output: { stdout: "/nope/out", stderr: "/dev/null" } }),
    `cannot start "true": cannot open "/nope/out" for its output: no such file or directory`,
  );
  assertStringIncludes(
    said({ env: { "A=B": "c" } }),
    `environment variable "A=B" cannot be passed`,
  );
  try {
    spawn({ ...spec, cwd: "/nope" });
  } catch (error) {
    assertEquals((error as Failure).detail, { argv: ["true", "-x"], cwd: "/nope" });
  }
});

Deno.test("no descriptor is left open, whether the start works or not", async () => {
  using scratch = new Scratch();
  const output = { stdout: scratch.path("out"), stderr: scratch.path("err") };
  const start = (program: string) =>
    spawn({ argv: [program], cwd: "/", env: { PATH }, output }).exited;
  const bad = scratch.write("bad", "", 0o755);
  for (let i = 0; i < 5; i++) sentenceOf(() => start(bad));
  await Promise.all([start("true"), start("true")]);
  const links = [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return []; // that of the listing itself
    }
  });
  assertEquals(links.filter((link) => link.startsWith(scratch.dir)), []);
});

Deno.test({
  name: "as another user: its ids and groups, its files opened with our rights",
  ignore: !isRoot,
  async fn() {
    using scratch = new Scratch();
    Deno.mkdirSync(scratch.path("private"), { mode: 0o700 });
    const output = { stdout: scratch.path("private/out"), stderr: scratch.path("private/err") };
    const child = spawn({
      argv: ["sh", "-c", "echo $$ $(id -u) $(id -g) $(id -G); cat /proc/$$/environ | tr '\\0' ' '"],
      cwd: "/",
      env: { PATH, A: "1" },
      identity: nobody,
      output,
    });
    assertEquals(await child.exited, { code: 0, signal: null });
    assertEquals(
      scratch.read("private/out"),
      `${child.pid} 65534 65534 65534\nPATH=${PATH} A=1 `,
    );
  },
});

Deno.test({
  name: "as a number without a name: no supplementary groups",
  ignore: !isRoot,
  async fn() {
    const identity = { user: "7777", uid: 7777, gid: 8888, home: "/" };
    const { stdout } = await shell("echo $(id -u) $(id -G)", { identity });
    assertEquals(stdout, "7777 8888\n");
  },
});

Deno.test({
  name: "as another user a missing interpreter ends with 127 and is named in the stderr file",
  ignore: !isRoot,
  async fn() {
    using scratch = new Scratch();
    const file = scratch.write("bad", "#!/nope/php\n", 0o755);
    const { status, stderr } = await run([file], { identity: nobody });
    assertEquals(status, { code: 127, signal: null });
    assertStringIncludes(stderr!, `failed to execute ${file}: No such file`);
  },
});

Deno.test({
  name: "only root may start as another user; as oneself everybody may",
  ignore: isRoot,
  async fn() {
    const self = { user: "me", uid: Deno.uid()!, gid: Deno.gid()!, home: "/" };
    assertEquals((await shell("exit 5", { identity: self })).status.code, 5);
    assertStringIncludes(
      sentenceOf(() =>
        spawn({ argv: ["true"], cwd: "/", env: { PATH }, identity: { ...self, uid: 1 } })
      ),
      "only root may change the user",
    );
  },
});
