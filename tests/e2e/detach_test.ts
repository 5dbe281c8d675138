/**
 * Starting: what keeps a daemon from coming up is said in one sentence with the right exit code, also
 * through --detach; one daemon for one place, however many start; what the options of `serve` do.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type CommandResult, type Daemon, daemonTest, supervisor } from "../kit/daemon.ts";
import { webProcess } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

const WEB = { config: { proxy: {}, processes: { web: webProcess() } }, start: false };
const IDLE = { config: { processes: { worker: { command: "exec sleep 1000" } } }, start: false };

/** Ports below this one need a right. */
const PRIVILEGED = Number(
  Deno.readTextFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
);

/** Runs `serve --detach` without some of root's rights. */
function without(d: Daemon, rights: string[], ...args: string[]): Promise<CommandResult> {
  const list = rights.map((right) => `-${right}`).join(",");
  const limited = Deno.uid() === 0
    ? ["setpriv", `--bounding-set=${list}`, `--inh-caps=${list}`]
    : [];
  return d.run([...limited, ...supervisor(), "serve", "--detach", ...args]);
}

/** What makes file modes mean nothing to root. */
const FILE_RIGHTS = ["dac_override", "dac_read_search"];

/** One sentence, a fix, no more; and nothing is left of the try. */
function assertRefused(d: Daemon, result: CommandResult, code: number, sentence: RegExp): void {
  const { stderr, stdout } = result;
  assertMatch(stderr, sentence);
  assertEquals([result.code, stdout], [code, ""], stderr);
  assertMatch(stderr, /^error: [^\n]+\n(fix: [^\n]+\n)?$/, "one sentence, and at most one fix");
  assertEquals(d.leftovers(), []);
  const log = d.read("state/log/daemon.log");
  if (log?.includes("daemon_started")) {
    assertStringIncludes(log, `"event":"daemon_stopped","data":{"exit":${code}}`);
  }
}

daemonTest("a privileged port without the right to it", {
  ...WEB,
  config: { ...WEB.config, proxy: { address: `127.0.0.1:${Math.max(PRIVILEGED - 1, 1)}` } },
}, async (d) => {
  // A machine on which every port is free for everybody has nothing to refuse.
  if (PRIVILEGED < 2) return;
  const refused = await without(d, ["net_bind_service"]);
  assertRefused(
    d,
    refused,
    1,
    new RegExp(`127\\.0\\.0\\.1:${PRIVILEGED - 1}.*: permission denied`),
  );
  assertMatch(refused.stderr, /\nfix: .*root/);
});

daemonTest("an address that no interface has", {
  ...WEB,
  config: { ...WEB.config, proxy: { address: "192.0.2.1:8182" } },
}, async (d) => {
  const refused = await d.cli("serve", "--detach");
  assertRefused(
    d,
    refused,
    1,
    /192\.0\.2\.1:8182 \(proxy\.address\): this machine has no such address/,
  );
});

for (const name of ["state", "log", "runtime"]) {
  daemonTest(`a ${name} directory that cannot be written`, {
    ...IDLE,
    config: ({ dir }) => ({
      ...IDLE.config,
      state_dir: name === "runtime" ? `${dir}/state` : `${dir}/closed/state`,
      control: { socket: name === "runtime" ? `${dir}/closed/run/s.sock` : `${dir}/run/s.sock` },
    }),
  }, async (d) => {
    Deno.mkdirSync(d.path("closed", "state"), { recursive: true, mode: 0o700 });
    Deno.chmodSync(d.path("closed"), 0o500);
    Deno.chmodSync(d.path("closed", "state"), name === "log" ? 0o500 : 0o700);
    if (name === "state") Deno.removeSync(d.path("closed", "state"));
    const place = { state: "closed/state", log: "closed/state/log", runtime: "closed/run" }[name];
    const sentence = new RegExp(
      `cannot create the directory "${d.path(place!)}": permission denied`,
    );
    const refused = await without(d, FILE_RIGHTS);
    assertRefused(d, refused, 1, sentence);
    assertMatch(refused.stderr, /\nfix: /);
    Deno.chmodSync(d.path("closed"), 0o700);
  });
}

daemonTest("of twenty that start at once exactly one lives, the others name it", {
  ...IDLE,
}, async (d) => {
  const all = Array.from({ length: 20 }, () => d.cli("serve", "--json"));
  let refused = 0;
  for (const one of all) void one.then(() => refused++);
  await until("all but one to be refused", () => refused === 19, 50_000);
  const { pid } = await d.status();
  await d.ok("shutdown");
  const results = await Promise.all(all);
  assertEquals(results.filter(({ code }) => code === 0).length, 1);
  for (const result of results.filter(({ code }) => code !== 0)) {
    assertEquals(result.code, 5, result.stderr);
    const { error, detail } = result.json();
    // Between taking the lock and writing the pid there is nobody to name yet.
    if (detail.pid !== undefined) assertEquals(detail.pid, pid);
    assertStringIncludes(error, `running at ${d.socket}`);
  }
});

daemonTest("a pid file that names a living stranger does not block, and the stranger lives", {
  ...IDLE,
}, async (d) => {
  Deno.mkdirSync(d.path("run"), { mode: 0o700 });
  await using stranger = sleeper();
  for (const text of [`${stranger.pid} 1 ${crypto.randomUUID()}\n`, "garbage", "", "-1\n"]) {
    d.write("run/pid", text);
    await d.ok("serve", "--detach");
    assertEquals(d.read("run/pid")?.split(" ")[0], String((await d.status()).pid));
    await d.ok("shutdown");
    assertEquals(d.read("run/pid"), undefined);
  }
  assertEquals(stranger.alive(), true);
});

daemonTest("a pid file taken away by hand lets no second daemon in", {
  ...IDLE,
  start: true,
}, async (d) => {
  for (const replacement of [undefined, `${Deno.pid} 1 nonsense\n`]) {
    Deno.removeSync(d.path("run", "pid"));
    if (replacement !== undefined) d.write("run/pid", replacement);
    const second = await d.cli("serve", "--detach");
    assertEquals(second.code, 5, second.stderr);
    assertStringIncludes(second.stderr, `a daemon (pid ${d.pid}) `);
    assertEquals((await d.status()).pid, d.pid, "the first still answers");
    d.write("run/pid", "somebody else's\n");
  }
  await d.ok("shutdown");
  assertEquals(d.read("run/pid"), "somebody else's\n", "what is not ours is not removed");
});

daemonTest("--pid-file, --log-file, -w, --dotenv and -o", {
  ...IDLE,
  config: {
    processes: { worker: { command: "exec sleep 1000", env: { FROM: "${FROM_DOTENV}" } } },
  },
}, async (d) => {
  d.write("local.env", "# values\nFROM_DOTENV=dotenv\n");
  d.release("v1");
  const started = await d.run([
    ...supervisor(),
    "serve",
    "--detach",
    "--json",
    ...["-w", d.path("releases"), "-c", "../supervisor.yaml", "--dotenv", "../local.env"],
    ...["--pid-file", "../elsewhere.pid", "--log-file", "../elsewhere.log"],
    ...["-o", "processes.worker.env.BY_HAND=yes", "--release-path", "v1", "--release-id", "first"],
  ]);
  assertEquals(started.code, 0, started.stderr);
  const { pid, socket, active_release_id, log_file } = started.json();
  assertEquals([socket, active_release_id, log_file], [
    d.socket,
    "first",
    d.path("elsewhere.log"),
  ]);
  assertEquals(d.read("elsewhere.pid")?.split(" ")[0], String(pid));
  assertEquals(d.read("run/pid"), undefined);
  // Nobody waits for a log to be written.
  await until("daemon_ready in its log", () => d.read("elsewhere.log")!.includes("daemon_ready"));
  const [release] = (await d.status()).releases;
  const environment = Deno.readTextFileSync(`/proc/${release.processes[0].pid}/environ`);
  for (const line of ["FROM=dotenv", "BY_HAND=yes"]) {
    assert(environment.split("\0").includes(line), environment);
  }
  await d.ok("shutdown");
  assertEquals(d.read("elsewhere.pid"), undefined);
});

/** A program that has nothing to do with us. */
function sleeper() {
  const child = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  let ended = false;
  const end = child.status.then(() => ended = true);
  return {
    pid: child.pid,
    alive: () => !ended,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await end;
    },
  };
}
