/**
 * Every command as scripts and people at night use it: exit codes, one JSON document, errors that say
 * what is so, and that a broken configuration stops nobody from looking.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type CommandResult, daemonTest, supervisor } from "../kit/daemon.ts";
import { program, webProcess } from "../kit/programs.ts";

const CONFIG = { processes: { worker: { command: program("worker.sh") } } };

/** Commands that need a daemon. */
const CLIENTS = [
  ["status"],
  ["deploy", "--release-path", "."],
  ["rollback"],
  ["restart"],
  ["scale", "worker", "2"],
  ["stop"],
  ["reload"],
  ["plan"],
  ["logs"],
  ["logs", "-f"],
  ["events"],
  ["events", "-f"],
  ["shutdown"],
];

/** No trace of the program's inside. */
function plain({ stdout, stderr }: CommandResult): void {
  assert(!(stdout + stderr).includes("\x1b["), "no colours");
  assert(!/^\s+at .*\.(ts|js):\d+/m.test(stdout + stderr), `a stack trace:\n${stderr}`);
  assert(!/Uncaught|ENOENT|os error/.test(stderr), stderr);
}

/** A failure as --json tells it: one document on stdout, nothing else. */
function failureOf(result: CommandResult, exit: number): string {
  assertEquals(result.code, exit, result.stdout + result.stderr);
  plain(result);
  assertEquals(result.stderr, "");
  assertEquals(result.stdout.trim().split("\n").length, 1, result.stdout);
  const json = result.json();
  assertEquals([json.status, json.exit], ["error", exit]);
  return `${json.error}\n${json.fix ?? ""}`;
}

daemonTest(
  "without a daemon every client command ends with 4 and says where it looked",
  { start: false, config: CONFIG },
  async (d) => {
    for (const args of CLIENTS) {
      const said = failureOf(await d.cli(...args, "--json"), 4);
      assert(said.includes(d.socket), said);
    }
    const spoken = await d.cli("status");
    assertEquals([spoken.code, spoken.stdout], [4, ""]);
    plain(spoken);
    assertMatch(spoken.stderr, /^error: .*control\.sock.*\nfix: .*serve/s);

    // A socket that nobody serves, and one that is no socket.
    d.write("run/control.sock", "");
    assertMatch(failureOf(await d.cli("status", "--json"), 4), /control\.sock/);
    assertMatch(failureOf(await d.cli("status", "--socket", "/nope", "--json"), 4), /\/nope/);
  },
);

daemonTest(
  "wrong usage ends with 2 and shows the way",
  { start: false, config: CONFIG },
  async (d) => {
    const cases: [string[], RegExp][] = [
      [[], /no command/],
      [["stauts"], /stauts.*did you mean.*status/s],
      [["status", "--wach"], /--wach.*--watch/s],
      [["deploy"], /--release-path/],
      [["deploy", "releases/v1"], /releases\/v1.*--release-path/s],
      [["logs", "--lines", "many"], /--lines.*many/s],
      [["logs", "--lines", "0"], /--lines/],
      [["logs", "--since", "yesterday"], /--since.*yesterday/s],
      [["scale", "worker"], /COUNT/],
      [["scale", "worker", "-1"], /-1/],
      [["restart", "--policy", "weird"], /weird.*companion/s],
      [["restart", "--policy", "service", "--process", "a"], /exclude/],
      [["status", "--workdir", "/nope"], /\/nope/],
    ];
    for (const [args, words] of cases) {
      assertMatch(
        failureOf(await d.cli(...args, "--json"), 2),
        words,
      );
    }
  },
);

daemonTest(
  "each command with --json gives one document on one line and nothing on stderr",
  { config: CONFIG },
  async (d) => {
    const path = d.release("v1");
    const run = async (...args: string[]) => {
      const result = await d.cli(...args, "--json");
      assertEquals([result.code, result.stderr], [0, ""], `${args.join(" ")}: ${result.stdout}`);
      assertEquals(result.stdout.trim().split("\n").length, 1, args.join(" "));
      return result.json();
    };
    const deploy = (id: string) => run("deploy", "--release-path", path, "--release-id", id);
    const first = await deploy("v1");
    assertEquals([first.status, first.active_release_id], ["success", "v1"]);
    assertEquals((await deploy("v2")).previous_release_id, "v1");
    assertEquals((await run("rollback")).previous_release_id, "v2");
    assertEquals((await run("restart")).restarted, ["worker"]);
    assertEquals((await run("scale", "worker", "2")).count, 2);
    assertEquals((await run("plan")).changes, []);
    assertEquals((await run("reload")).status, "success");
    assertEquals((await run("status")).application, "app");
    assertEquals((await run("validate")).valid, true);
    assertEquals(typeof (await run("version")).version, "string");
    assertMatch((await run("schema")).$schema, /2020-12/);
    assertEquals((await run("logs", "--lines", "1")).stream, "stdout");
    assertEquals((await run("events", "--limit", "1")).level.length > 0, true);
    assertEquals((await run("stop")).active_release_id, null);
    assertEquals((await run("shutdown")).status, "success");
  },
);

daemonTest(
  "what fails in the daemon: 1, with what to do; the same in words and in JSON",
  { config: CONFIG },
  async (d) => {
    const cases: [string[], RegExp][] = [
      [["rollback"], /no .*release|nothing/i],
      [["rollback", "--release-id", "v9"], /"v9"/],
      [["deploy", "--release-path", "nope"], /nope.*(no directory|no such|does not exist)/s],
      [["deploy", "--release-path", "supervisor.yaml"], /supervisor\.yaml.*director/s],
      [["restart", "--process", "wroker"], /"wroker"/],
      [["logs", "--process", "wroker"], /"wroker".*worker/s],
      [["stop", "--release-id", "v9"], /"v9"/],
    ];
    for (const [args, words] of cases) {
      assertMatch(failureOf(await d.cli(...args, "--json"), 1), words);
      const spoken = await d.cli(...args);
      assertEquals(spoken.code, 1, args.join(" "));
      plain(spoken);
      assertMatch(spoken.stderr, words);
      assertMatch(spoken.stderr, /^error: /m);
    }
  },
);

daemonTest(
  "a broken configuration stops nobody from looking and acting; it stops what needs it",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    const good = d.read("supervisor.yaml")!;
    const broken = [
      good.replace("processes:", "procesess:"),
      `${good}\nproxy: { address: 7, drain_timeout: 60 }\n`,
      good.replace("policy", "polcy").replace(
        "processes:",
        "extra: ${NOT_SET_ANYWHERE}\nprocesses:",
      ),
    ];
    for (const text of broken) {
      d.write("supervisor.yaml", text);
      assertEquals((await d.ok("status", "--json")).json().active_release_id, "v1");
      await d.ok("logs");
      await d.ok("events");
      await d.ok("restart");
      const invalid = await d.cli("validate");
      assertEquals(invalid.code, 3);
      assertMatch(invalid.stderr, /supervisor\.yaml:\d+:\d+: error: /);
      for (const args of [["reload"], ["plan"], ["deploy", "--release-path", "releases/v1"]]) {
        const refused = await d.cli(...args);
        assertEquals(refused.code, 3, `${args[0]}: ${refused.stdout}${refused.stderr}`);
        assertMatch(refused.stderr, /supervisor\.yaml:\d+:\d+: error: /);
        plain(refused);
      }
    }
    // What is not even YAML, and a file that is gone: the socket can be named.
    d.write("supervisor.yaml", "application: [\n");
    assertEquals((await d.cli("status")).code, 3);
    Deno.removeSync(d.configFile);
    const lost = await d.cli("status");
    assertEquals(lost.code, 3);
    assertMatch(lost.stderr, /supervisor\.yaml/);
    await d.ok("status", "--socket", d.socket);
    await d.ok("shutdown", "--socket", d.socket);
  },
);

daemonTest(
  "help of everything, a reader that goes, tables without colours",
  {
    config: {
      proxy: {},
      processes: { web: webProcess(), worker: { command: program("noisy.sh", "2000") } },
    },
  },
  async (d) => {
    const overview = (await d.ok("help")).stdout;
    assertEquals((await d.ok("--help")).stdout, overview);
    const names = [...overview.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name);
    for (const [name] of CLIENTS) assert(names.includes(name), `${name} in\n${overview}`);
    for (const name of names) {
      const { stdout, stderr } = await d.ok(name, "--help");
      assertMatch(stdout, new RegExp(`supervisor ${name}`));
      assertEquals(stderr, "");
    }
    assertEquals((await d.cli("help", "stauts")).code, 2);

    await d.deploy("v1");
    const quoted = (...args: string[]) =>
      [...supervisor(), ...args].map((word) => `'${word}'`).join(" ");
    const pipe = async (command: string) =>
      await d.run(["sh", "-c", `{ ${command}; echo "code $?" >&2; } | head -n 1`]);
    for (const args of [["status"], ["logs", "--lines", "2000"], ["events"], ["schema"]]) {
      const { stdout, stderr } = await pipe(quoted(...args));
      assertEquals(stdout.split("\n").length, 2, args[0]);
      assertEquals(stderr, "code 0\n", args[0]);
    }
    const status = await d.ok("status");
    plain(status);
    assertEquals(status.stderr, "");
  },
);

daemonTest(
  "on a terminal there are colours, and with NO_COLOR none",
  { config: CONFIG },
  async (d) => {
    await d.deploy("v1");
    const words = [...supervisor(), "status"].map((word) => `'${word}'`).join(" ");
    const onTerminal = (...env: string[]) =>
      d.run(["env", ...env, "TERM=xterm", "script", "-qec", words, "/dev/null"]);
    const colourful = await onTerminal("-u", "NO_COLOR");
    assertEquals(colourful.code, 0, colourful.stdout + colourful.stderr);
    assert(colourful.stdout.includes("\x1b["), colourful.stdout);
    const sober = await onTerminal("NO_COLOR=1");
    assert(!sober.stdout.includes("\x1b["), sober.stdout);
    assertMatch(sober.stdout, /worker/);
  },
);
