/** `serve --detach` and `--ensure` with the real daemon: ready means ready, and every failure is seen. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { daemonTest } from "../../kit/daemon.ts";
import { killLeftovers, MARK } from "../../kit/leftovers.ts";
import { webProcess } from "../../kit/programs.ts";
import { until } from "../../kit/wait.ts";
import { PROGRAM } from "./kit.ts";

const WEB = { proxy: {}, processes: { web: webProcess() } };
const IDLE = { config: { processes: { web: { command: "sleep 1000" } } }, start: false };

/** A release of this is never ready. */
const NEVER = {
  config: { proxy: {}, processes: { web: webProcess({ health: { path: "/nowhere" } }) } },
  start: false,
};

function stat(pid: number): string[] {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

daemonTest("a detached daemon is ready, alone in its session, and bound to nothing", {
  config: WEB,
  start: false,
}, async (d) => {
  const { code, stdout, stderr } = await d.cli("serve", "--detach");
  assertEquals([code, stderr], [0, ""]);
  const pid = Number(/pid +(\d+)/.exec(stdout)?.[1]);
  assertMatch(stdout, /^the daemon is ready\n/);
  assertStringIncludes(stdout, `socket   ${d.socket}\n`);
  assertStringIncludes(stdout, `address  127.0.0.1:${d.port}\n`);
  assertEquals((await d.status()).pid, pid);
  const [, , group, session, terminal] = stat(pid);
  assertEquals([group, session, terminal], [String(pid), String(pid), "0"]);
  const link = (name: string) => Deno.readLinkSync(`/proc/${pid}/${name}`);
  const log = d.path("state/log/daemon.log");
  assertEquals([link("cwd"), link("fd/0")], ["/", "/dev/null"]);
  await until("stdout to be let go of", () => link("fd/1") === "/dev/null");
  assertEquals(link("fd/2"), log);
  assertEquals(Deno.statSync(log).mode! & 0o777, 0o600);
  await d.ok("shutdown");
});

daemonTest("a second one is refused with pid and socket; with --ensure it is a success", {
  config: WEB,
}, async (d) => {
  const refused = await d.cli("serve", "--detach", "--json");
  assertEquals(refused.code, 5);
  assertEquals(refused.json().detail, { pid: d.pid, socket: d.socket });
  assertStringIncludes(refused.json().error, `pid ${d.pid}`);
  const ensured = await d.ok("serve", "--detach", "--ensure", "--json");
  const { pid, already_running, addresses } = ensured.json();
  assertEquals([pid, already_running, addresses], [d.pid, true, [`127.0.0.1:${d.port}`]]);
});

daemonTest("of many that ensure at once one starts, and all find it", IDLE, async (d) => {
  const all = await Promise.all(
    [1, 2, 3].map(() => d.cli("serve", "--detach", "--ensure", "--json")),
  );
  assertEquals(all.map(({ code }) => code), [0, 0, 0], JSON.stringify(all));
  assertEquals(new Set(all.map((one) => one.json().pid)).size, 1);
  assertEquals(all.filter((one) => !one.json().already_running).length, 1);
  await d.ok("shutdown");
});

daemonTest("--ensure does not take another application's daemon for its own", IDLE, async (d) => {
  await d.ok("serve", "--detach");
  const other = await d.cli("serve", "--detach", "--ensure", "-o", "application=other");
  assertEquals(other.code, 5);
  assertStringIncludes(other.stderr, 'belongs to a daemon of "app"');
  await d.ok("shutdown");
});

daemonTest("an invalid configuration is shown through --detach: exit 3", {
  config: { processes: { web: { comand: "sleep 1" } } },
  start: false,
}, async (d) => {
  const { code, stderr } = await d.cli("serve", "--detach");
  assertEquals(code, 3);
  assertMatch(stderr, /supervisor\.yaml:\d+:\d+: error: /);
  const json = await d.cli("serve", "--detach", "--json");
  assertEquals([json.code, json.json().exit, json.stderr], [3, 3, ""]);
});

daemonTest("a port in use is shown through --detach, at once, in one sentence: exit 1", {
  config: WEB,
  start: false,
}, async (d) => {
  using _taken = Deno.listen({ hostname: "127.0.0.1", port: d.port });
  const { code, stderr } = await d.cli("serve", "--detach");
  assertEquals(code, 1);
  assertMatch(stderr, new RegExp(`^error: [^\\n]*${d.port}[^\\n]*in use`));
  assert(!stderr.includes("    at "), "no stack trace");
});

daemonTest("a daemon that dies without a word: how it ended, and what it logged last", {
  ...NEVER,
  leftovers: true,
}, async (d) => {
  const release = d.release("v1");
  d.write("state/log/daemon.log", "an older line\n");
  Deno.chmodSync(d.path("state/log"), 0o700);
  const killed = d.cli("serve", "--detach", "--release-path", release, "--json");
  Deno.kill(await daemonOf(d.dir), "SIGKILL");
  const { code, json } = await killed;
  const failure = json();
  assertEquals(code, 1);
  assertEquals(failure.error, "the daemon was ended by SIGKILL before it was ready");
  const { last_output } = failure.detail;
  assertStringIncludes(last_output[0], "daemon_started");
  killLeftovers(d.leftovers());
});

daemonTest("Ctrl-C ends a daemon that is being started, and leaves nothing", NEVER, async (d) => {
  const release = d.release("v1");
  const [program, ...first] = PROGRAM;
  const child = new Deno.Command(program, {
    args: [...first, "serve", "--detach", "--release-path", release],
    cwd: d.dir,
    env: { HOME: d.dir, [MARK]: d.dir },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  await daemonOf(d.dir);
  child.kill("SIGINT");
  const { code, stderr } = await child.output();
  assertEquals(code, 1);
  assertMatch(new TextDecoder().decode(stderr), /^error: /);
  await until("all to be gone", () => d.leftovers().length === 0);
});

/** Pid of the detached daemon of a scratch directory: the session leader that serves. */
function daemonOf(dir: string): Promise<number> {
  return until("the daemon's process", () => {
    for (const { name } of Deno.readDirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const environ = Deno.readTextFileSync(`/proc/${name}/environ`).split("\0");
        if (!environ.includes(`${MARK}=${dir}`)) continue;
        if (!environ.some((one) => one.startsWith("SUPERVISOR_DETACHED=/"))) continue;
        if (stat(Number(name))[3] !== name) continue;
        if (Deno.readTextFileSync(`${dir}/state/log/daemon.log`).includes("daemon_started")) {
          return Number(name);
        }
      } catch {
        // It has ended meanwhile, or is not ours to look at.
      }
    }
    return undefined;
  });
}

daemonTest(
  "deploy --ensure-daemon starts the daemon first",
  { config: WEB, start: false },
  async (d) => {
    const path = d.release("v1");
    const first = await d.cli(
      "deploy",
      "--ensure-daemon",
      "--release-path",
      path,
      "--release-id",
      "v1",
    );
    assertEquals(first.code, 0, first.stderr);
    assertMatch(first.stderr, /^started the daemon: pid \d+\n/);
    assertEquals((await d.status()).active_release_id, "v1");
    const again = await d.ok("deploy", "--ensure-daemon", "--release-path", path, "--json");
    assertEquals(again.stderr, "");
    await d.ok("shutdown");
  },
);

daemonTest("a log in a directory that is not there yet; one that cannot be", IDLE, async (d) => {
  await d.ok("serve", "--detach", "--log-file", "logs/deep/d.log");
  assertEquals(Deno.statSync(d.path("logs/deep")).mode! & 0o777, 0o700);
  await until("the log", () => d.read("logs/deep/d.log")?.includes("daemon_ready"));
  await d.ok("shutdown");
  const { code, stderr } = await d.cli("serve", "--detach", "--log-file", "supervisor.yaml/d.log");
  assertEquals(code, 1);
  assertStringIncludes(stderr, "cannot write the log");
});
