/** The program as a process: exit codes, what goes to which stream, and how it ends. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { COMMANDS } from "../../../lib/cli/table.ts";
import { VERSION } from "../../../lib/core/version.ts";
import { Scratch } from "../../kit/scratch.ts";
import { until } from "../../kit/wait.ts";
import { DEPLOYED, event, Server, STATUS, step } from "../control/kit.ts";
import { spawn, supervisor } from "./kit.ts";

Deno.test("version, --version, and as JSON", async () => {
  const [plain, option, json] = await Promise.all([
    supervisor(["version"]),
    supervisor(["--version"]),
    supervisor(["version", "--json"]),
  ]);
  assertStringIncludes(plain.stdout, `supervisor ${VERSION} `);
  assertEquals([plain.code, option], [0, plain]);
  assertEquals(JSON.parse(json.stdout).version, VERSION);
});

Deno.test("help tells of every command, and each of itself", async () => {
  const { code, stdout } = await supervisor(["help"]);
  assertEquals(code, 0);
  const longest = Math.max(...COMMANDS.map(({ name }) => name.length));
  for (const { name, about } of COMMANDS) {
    assertStringIncludes(stdout, `  ${name.padEnd(longest)}  ${about}\n`);
  }
  const deploy = await supervisor(["deploy", "--help"]);
  assertEquals(deploy, await supervisor(["help", "deploy"]));
  assertStringIncludes(deploy.stdout, "usage: supervisor deploy --release-path DIR");
});

Deno.test("wrong usage: exit 2, one sentence and a fix on stderr, nothing on stdout", async () => {
  const { code, stdout, stderr } = await supervisor(["deploy", "--relese-path", "x"]);
  assertEquals([code, stdout], [2, ""]);
  const said =
    'error: unknown option "--relese-path" for deploy\nfix: did you mean "--release-path"?\n';
  assertEquals(stderr, said);
});

Deno.test("with --json an error is one document on stdout, and stderr is empty", async () => {
  using scratch = new Scratch();
  const socket = scratch.path("c.sock");
  const { code, stdout, stderr } = await supervisor(["status", "--json", "--socket", socket]);
  assertEquals([code, stderr], [4, ""]);
  assertMatch(stdout, /^[^\n]+\n$/);
  const failure = JSON.parse(stdout);
  assertEquals([failure.status, failure.exit], ["error", 4]);
  assertStringIncludes(failure.error, socket);
});

Deno.test("no permission: exit 4, and whose socket it is", async () => {
  await using server = await Server.open();
  Deno.chmodSync(server.path, 0o040);
  const { code, stderr } = await supervisor(["status", "--socket", server.path], { weak: true });
  const { uid, gid } = Deno.lstatSync(server.path);
  assertEquals(code, 4, stderr);
  const said = `error: no permission to talk to the daemon at "${server.path}" `;
  assertStringIncludes(stderr, `${said}(it belongs to uid ${uid}, gid ${gid}, mode 040)`);
  assertStringIncludes(stderr, "fix: run the command as its owner");
});

Deno.test("no permission to enter the directory names the directory", async () => {
  await using server = await Server.open();
  Deno.chmodSync(server.scratch.dir, 0o070);
  const { code, stderr } = await supervisor(["status", "--socket", server.path], { weak: true });
  Deno.chmodSync(server.scratch.dir, 0o700);
  assertEquals(code, 4, stderr);
  assertStringIncludes(stderr, `("${server.scratch.dir}" belongs to uid `);
  assertStringIncludes(stderr, ", mode 070)");
});

Deno.test("a deploy tells its steps on stderr and its result on stdout", async () => {
  await using server = await Server.open();
  const release = server.scratch.path("v2");
  Deno.mkdirSync(release);
  Deno.symlinkSync("v2", server.scratch.path("current"));
  const args = ["deploy", "--socket", "control.sock", "--release-path", "current"];
  const how = { cwd: server.scratch.dir };
  const { code, stdout, stderr } = await supervisor(args, how);
  assertEquals(code, 0);
  assertEquals(stdout, "v2 is live after 0.8 s, before: v1\n");
  assertEquals(stderr, "  0.0 s  one\n  0.0 s  two\n");
  const request = { release_path: release, wait: false };
  assertEquals(server.operations.asked, [["deploy", request]], "the real path was sent");
  const json = await supervisor([...args, "--json"], how);
  assertEquals([json.stderr, JSON.parse(json.stdout)], ["", DEPLOYED]);
});

Deno.test("a deploy that is live with errors: exit 6", async () => {
  await using server = await Server.open();
  const partly = { ...DEPLOYED, status: "partial" as const, errors: ['"cron" did not start'] };
  server.operations.deploy = () => Promise.resolve(partly);
  const args = ["deploy", "--socket", server.path, "--release-path", server.scratch.dir];
  const { code, stdout } = await supervisor(args);
  assertEquals(code, 6);
  assertStringIncludes(stdout, 'error: "cron" did not start\n');
});

Deno.test("a deploy that fails: exit 1, the reason and the last output", async () => {
  await using server = await Server.open();
  server.operations.deploy = () => {
    const detail = { argv: ["node", "x"], exit_code: 3, stderr: ["no database"] };
    throw new Failure('process "web" did not start', { detail });
  };
  const args = ["deploy", "--socket", server.path, "--release-path", server.scratch.dir];
  const { code, stdout, stderr } = await supervisor(args);
  assertEquals([code, stdout], [1, ""]);
  const facts = "  command: node x\n  exit code: 3\n  last stderr:\n    no database\n";
  assertEquals(stderr, `error: process "web" did not start\n${facts}`);
});

Deno.test("a release path that is none is refused before anything is asked", async () => {
  await using server = await Server.open();
  const cwd = server.scratch.dir;
  const deploy = ["deploy", "--socket", server.path, "--release-path"];
  const missing = await supervisor([...deploy, "nope"], { cwd });
  assertEquals(missing.code, 1);
  assertStringIncludes(missing.stderr, `the release path "${cwd}/nope" cannot be used: no such`);
  const file = await supervisor([...deploy, server.path], { cwd });
  assertEquals(file.code, 1);
  assertStringIncludes(file.stderr, "is not a directory");
  assertEquals(server.operations.asked, []);
});

Deno.test("Ctrl-C in a deploy leaves the daemon to it, and says so", async () => {
  await using server = await Server.open();
  const hold = Promise.withResolvers<void>();
  let begun = false;
  server.operations.deploy = async (_, tell) => {
    tell(step("begun"));
    begun = true;
    await hold.promise;
    return DEPLOYED;
  };
  const child = spawn(["deploy", "--socket", server.path, "--release-path", "/"]);
  await until("the deploy", () => begun);
  child.kill("SIGINT");
  const { code, stderr } = await child.output();
  const text = new TextDecoder().decode(stderr);
  assertEquals(code, 1, text);
  assertStringIncludes(text, "error: interrupted; the daemon goes on with it\n");
  hold.resolve();
});

Deno.test("events: readable, and as JSON lines", async () => {
  await using server = await Server.open();
  const events = ["events", "--socket", server.path, "--limit", "1"];
  const { code, stdout } = await supervisor(events);
  assertEquals(code, 0);
  assertMatch(stdout, /^\S+ info {2}log_reopened +file=""\n$/);
  const json = await supervisor([...events, "--json"]);
  assertEquals(JSON.parse(json.stdout), event(2));
});

Deno.test("a follow ends with Ctrl-C and exit 0", async () => {
  await using server = await Server.open();
  const child = spawn(["events", "-f", "--json", "--socket", server.path]);
  await until("the follower", () => server.operations.feed.followers === 1);
  server.operations.feed.publish(event(7));
  const reader = child.stdout.getReader();
  let text = "";
  while (!text.includes('"seq":7')) text += new TextDecoder().decode((await reader.read()).value);
  child.kill("SIGINT");
  assertEquals((await child.status).code, 0);
  assertEquals(text.split("\n").filter((line) => line !== "").length, 3);
  await reader.cancel();
  assertEquals(await new Response(child.stderr).text(), "");
  await until("the server to forget it", () => server.operations.feed.followers === 0);
});

Deno.test("a follow ends quietly when nobody reads its output any more", async () => {
  await using server = await Server.open();
  const child = spawn(["events", "-f", "--socket", server.path]);
  await until("the follower", () => server.operations.feed.followers === 1);
  await child.stdout.cancel();
  // The first write finds out; the one before it may still fit into the pipe.
  let code: number | undefined;
  const ended = child.status.then((status) => code = status.code);
  await until("it to end", () => {
    server.operations.feed.publish(event(8));
    return code !== undefined;
  });
  assertEquals(await ended, 0);
  assertEquals(await new Response(child.stderr).text(), "");
});

Deno.test("a daemon that closes ends a follow with a word and exit 0", async () => {
  await using server = await Server.open();
  const child = spawn(["logs", "-f", "--socket", server.path]);
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(code, 0);
  assertEquals(text(stdout), "2030-01-01T00:00:00.000Z web      out  hello\n");
  assertEquals(text(stderr), "the daemon has ended this stream\n");
});

Deno.test("logs hand their query on", async () => {
  await using server = await Server.open();
  const logs = ["logs", "--socket", server.path, "--process", "web"];
  await supervisor(logs);
  await supervisor([...logs, "--since", "2029-12-31T00:00:00Z", "--lines", "7"]);
  const since = Date.UTC(2029, 11, 31);
  assertEquals(server.operations.asked, [
    ["logs", { process: "web", lines: 50, follow: false }],
    ["logs", { process: "web", lines: 7, since, follow: false }],
  ]);
});

Deno.test("status: a table, or one JSON document", async () => {
  await using server = await Server.open();
  const table = await supervisor(["status", "--socket", server.path]);
  assertEquals(table.code, 0);
  assertStringIncludes(table.stdout, "shop  running  pid 4711");
  assert(!table.stdout.includes("\x1b"), "no colours into a pipe");
  const json = await supervisor(["status", "--json", "--socket", server.path]);
  assertEquals(json.stdout, `${JSON.stringify(STATUS)}\n`);
});

Deno.test("status --watch repeats until Ctrl-C, exit 0", async () => {
  await using server = await Server.open();
  let looks = 0;
  server.operations.status = () => ({ ...STATUS, pid: ++looks });
  const child = spawn(["status", "--watch", "--json", "--socket", server.path]);
  await until("three looks", () => looks >= 3);
  child.kill("SIGINT");
  const { code, stdout } = await child.output();
  assertEquals(code, 0);
  const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
  assertEquals(lines.slice(0, 2).map((line) => JSON.parse(line).pid), [1, 2]);
});

const SHORT: [words: string[], asked: unknown, said: string][] = [
  [["restart"], ["restart", {}], "restarted web\n"],
  [["restart", "--policy", "service"], ["restart", { policy: "service" }], "restarted web\n"],
  [["scale", "web", "3"], ["scale", { name: "web", count: 3 }], "web: 1 → 3\n"],
  [["stop", "--now"], ["stop", { now: true }], "no release is live\n"],
  [["rollback"], ["rollback", { wait: false }], "v2 is live after 0.8 s, before: v1\n"],
];

for (const [words, asked, said] of SHORT) {
  Deno.test(`supervisor ${words.join(" ")}`, async () => {
    await using server = await Server.open();
    const { code, stdout, stderr } = await supervisor([...words, "--socket", server.path]);
    assertEquals([code, stdout, stderr], [0, said, ""]);
    assertEquals(server.operations.asked, [asked]);
  });
}

Deno.test("reload and plan show the changes", async () => {
  await using server = await Server.open();
  const plan = await supervisor(["plan", "--socket", server.path]);
  assertEquals(plan.stdout, "EFFECT          FIELD\nnew generation  processes.web.command\n");
  const reload = await supervisor(["reload", "--socket", server.path]);
  assertEquals([reload.code, reload.stdout], [0, "nothing has changed\n"]);
});

Deno.test("shutdown prints its answer and waits for the end", async () => {
  await using server = await Server.open();
  server.operations.shutdown = () => {
    setTimeout(() => void server.control.close(), 0);
    return Promise.resolve({ status: "success", message: "stopped" });
  };
  const { code, stdout } = await supervisor(["shutdown", "--socket", server.path]);
  assertEquals([code, stdout], [0, "stopped\n"]);
});

Deno.test("a broken configuration does not keep anybody from a daemon", async () => {
  await using server = await Server.open();
  const config = "application: app\ncontrol: { socket: control.sock }\nprocesses: ${UNSET}\nx: [\n";
  server.scratch.write("supervisor.yaml", config);
  const { code, stderr } = await supervisor(["status"], { cwd: server.scratch.dir });
  assertEquals([code, stderr], [0, ""]);
  const elsewhere = await supervisor(["-w", server.scratch.dir, "status"]);
  assertEquals(elsewhere.code, 0);
});

Deno.test("validate: what is wrong on stderr, exit 3; what is right on stdout, exit 0", async () => {
  using scratch = new Scratch();
  const cwd = scratch.dir;
  scratch.write("supervisor.yaml", 'version: "3"\nprocesses: { web: { command: sleep 1 } }\n');
  const good = await supervisor(["validate"], { cwd });
  assertEquals([good.code, good.stderr], [0, ""]);
  assertMatch(good.stdout, /supervisor\.yaml is valid: application .*, 1 process\n$/);
  scratch.write("supervisor.yaml", 'version: "3"\nprocesses: { web: { comand: sleep 1 } }\n');
  const bad = await supervisor(["validate"], { cwd });
  assertEquals([bad.code, bad.stdout], [3, ""]);
  assertStringIncludes(bad.stderr, "did you mean");
  const json = await supervisor(["validate", "--json"], { cwd });
  const told = JSON.parse(json.stdout);
  assertEquals([json.code, json.stderr, told.valid, told.status], [3, "", false, "error"]);
  assert(told.problems.length > 0);
  const none = await supervisor(["validate", "-w", "/"], { cwd });
  assertEquals(none.code, 3);
});

Deno.test("schema prints a JSON Schema", async () => {
  const { code, stdout } = await supervisor(["schema"]);
  assertEquals(code, 0);
  assertStringIncludes(JSON.parse(stdout).$schema, "2020-12");
});

Deno.test("a bug shows its stack only to those who ask", async () => {
  await using server = await Server.open();
  server.operations.status = () => {
    throw new TypeError("x is not a function");
  };
  const status = ["status", "--socket", server.path];
  const { code, stderr } = await supervisor(status);
  assertEquals([code, stderr], [1, "error: internal error: x is not a function\n"]);
  const debug = await supervisor(status, { env: { SUPERVISOR_DEBUG: "1" } });
  assertMatch(debug.stderr, /\n +at /);
});
