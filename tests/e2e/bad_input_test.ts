/**
 * Every tool where something is wrong with what it works on: one clear sentence, the right exit code,
 * never a stack, never a wait without end.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type CommandResult, type Daemon, daemonTest } from "../kit/daemon.ts";
import { program } from "../kit/programs.ts";

const CONFIG = { processes: { worker: { command: program("worker.sh") } } };

/** What talks to a daemon. */
const CLIENTS: string[][] = [
  ...[["status"], ["workers"], ["logs"], ["events"], ["explain", "worker"], ["top"], ["plan"]],
  ...[["deploy", "--release-path", "."], ["rollback"], ["restart"], ["reset"], ["stop"]],
  ...[["scale", "worker", "2"], ["reload"], ["shutdown"], ["jobs", "list"], ["jobs", "stat"]],
  ...[["jobs", "push", "mail", "greet"], ["jobs", "pause", "mail"], ["jobs", "resume", "mail"]],
  ...[["jobs", "dead", "mail"], ["jobs", "retry", "mail", "x"], ["jobs", "drop", "mail", "x"]],
];

/** Tools that look by themselves, and how they end. */
type Others = Partial<Record<"doctor" | "recover" | "predeploy-cleanup", [number, RegExp]>>;

/** So many at a time: some only wait. */
const TOGETHER = 9;

/** One sentence, at most one fix, no stack. */
function assertSentence(
  tool: string,
  { code, stderr }: CommandResult,
  exit: number,
  words: RegExp,
) {
  assertEquals(code, exit, `${tool}: ${stderr}`);
  assertMatch(stderr, words, tool);
  assertMatch(stderr, /^error: [^\n]+\n(?:fix: [^\n]+\n)?$/, tool);
  assert(!/\n {4}at |\.ts:\d/.test(stderr), `${tool}: ${stderr}`);
}

/** Runs every tool with `more` words, and looks at how each ends. */
async function assertAll(
  d: Daemon,
  exit: number,
  words: RegExp,
  others: Others,
  ...more: string[]
) {
  const client = async (tool: string[]) =>
    assertSentence(tool.join(" "), await d.cli(...tool, ...more), exit, words);
  const other = async ([tool, [code, pattern]]: [string, [number, RegExp]]) => {
    const result = await d.cli(tool, ...more);
    assertEquals(result.code, code, `${tool}: ${result.stdout}${result.stderr}`);
    assertMatch(result.stdout + result.stderr, pattern, tool);
    assert(!/\.ts:\d/.test(result.stderr), result.stderr);
  };
  const waiting = [
    ...CLIENTS.map((tool) => () => client(tool)),
    ...Object.entries(others).map((entry) => () => other(entry)),
  ];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await next();
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
}

const STOPPED = { config: CONFIG, start: false };

daemonTest("bad input: no daemon", STOPPED, async (d) => {
  await assertAll(d, 4, /^error: no daemon reachable at "[^"]+": there is no such socket\n/, {
    recover: [0, /nothing was left running/],
    "predeploy-cleanup": [0, /no daemon was running/],
  });
});

daemonTest("bad input: a regular file where the socket belongs", STOPPED, async (d) => {
  d.write("run/control.sock", "mine");
  await assertAll(
    d,
    4,
    /^error: no daemon reachable at "[^"]+": what lies there is not a socket\n/,
    {
      doctor: [1, /✗ control socket: [^\n]*not a socket/],
      recover: [0, /nothing was left running/],
      "predeploy-cleanup": [1, /not a socket/],
    },
  );
  assertEquals(d.read("run/control.sock"), "mine");
});

daemonTest("bad input: a socket that never answers", STOPPED, async (d) => {
  Deno.mkdirSync(d.path("run"));
  using listener = Deno.listen({ transport: "unix", path: d.socket });
  const held: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) held.push(connection);
  })();
  await assertAll(
    d,
    4,
    /^error: the daemon at "[^"]+" does not answer: no [\w/]+ after 10000 ms\n/,
    {
      doctor: [1, /does not answer/],
      recover: [0, /nothing was left running/],
      "predeploy-cleanup": [4, /does not answer/],
    },
  );
  listener.close();
  await accepting;
  held.forEach((connection) => connection.close());
});

daemonTest("bad input: the daemon of another application", { config: CONFIG }, async (d) => {
  await d.deploy("v1");
  const other = d.read("supervisor.yaml")!.replace("application: app", "application: other");
  const file = d.write("other.yaml", other);
  await assertAll(
    d,
    5,
    /^error: the daemon at "[^"]+" runs the application "app", not "other"\n/,
    {
      doctor: [1, /runs the application "app"/],
      recover: [5, /is already running/],
      "predeploy-cleanup": [5, /runs the application "app"/],
    },
    "-c",
    file,
  );
  const { active_release_id, releases } = await d.status();
  assertEquals([active_release_id, releases.length], ["v1", 1], "nothing was done to it");
});

/** As somebody without any right. */
const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];

const binary = Deno.env.get("SUPERVISOR_BIN");
const forbidden = "bad input: no right to the socket, the state, the journal";
if (Deno.uid() !== 0 || binary === undefined) {
  // From source, runtime and packages may lie where nobody else may read.
  Deno.test.ignore(`${forbidden} (needs root and the built program)`, () => {});
} else {
  daemonTest(forbidden, { config: CONFIG }, async (d) => {
    await d.deploy("v1");
    for (const place of ["state", "run"]) Deno.chmodSync(d.path(place), 0o700);
    Deno.copyFileSync(binary, d.path("supervisor"));
    const as = (...args: string[]) => d.run([...NOBODY, d.path("supervisor"), ...args]);
    for (const tool of CLIENTS.filter(([word]) => word !== "explain")) {
      const result = await as(...tool);
      assertSentence(tool.join(" "), result, 4, /^error: no permission to talk to the daemon at "/);
    }
    const unseen = /permission to talk .*; and cannot read the events in/;
    assertSentence("explain", await as("explain", "worker"), 4, unseen);
    assertSentence("recover", await as("recover"), 1, /permission denied/);
  });
}

daemonTest("bad input: a state file that cannot be read", STOPPED, async (d) => {
  Deno.mkdirSync(d.path("state/state.json"), { recursive: true });
  const serve = await d.cli("serve", "--detach");
  assertSentence("serve", serve, 1, /state\.json/);
  const doctor = await d.cli("doctor");
  assertEquals(doctor.code, 1);
  assertMatch(doctor.stdout, /✗ [^\n]*state\.json/);
  Deno.removeSync(d.path("state/state.json"));
  Deno.mkdirSync(d.path("state/processes.json"));
  assertSentence("recover", await d.cli("recover"), 1, /processes\.json/);
});

daemonTest("bad input: a journal that is cut off in the middle", { config: CONFIG }, async (d) => {
  await d.deploy("v1");
  await d.ok("shutdown");
  await d.ended();
  const journal = d.path("state/events.jsonl");
  Deno.truncateSync(journal, Deno.statSync(journal).size - 20);
  assertStringIncludes((await d.ok("explain", "worker")).stdout, "it ran, pid");
  await d.start();
  const { stdout } = await d.ok("events", "--since", "1h");
  assertStringIncludes(stdout, "deploy_finished");
  assertStringIncludes((await d.ok("explain", "v1")).stdout, "went live");
});

daemonTest("bad input: pids that are gone meanwhile", { config: CONFIG }, async (d) => {
  await d.deploy("v1");
  d.kill("SIGKILL");
  await d.ended();
  for (const { pid } of d.leftovers()) Deno.kill(pid, "SIGKILL");
  assertStringIncludes((await d.ok("recover")).stdout, "nothing was left running");
  assertStringIncludes((await d.ok("recover", "--force")).stdout, "nothing was left running");
  assertSentence("status", await d.cli("status"), 4, /nobody listens there any more/);
  await d.ok("predeploy-cleanup");
  // The pid file names a process that is no more.
  await d.start();
  assertEquals((await d.status()).orphans, []);
});
