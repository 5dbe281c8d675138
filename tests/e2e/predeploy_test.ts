/**
 * `predeploy-cleanup` against real programs: whole trees are stopped, near misses and whoever runs the
 * command are not.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { daemonTest } from "../kit/daemon.ts";
import type { Place } from "../kit/daemon_options.ts";
import { Legacy } from "../kit/legacy.ts";
import { program } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

const processes = { worker: { command: program("worker.sh") } };

/** A configuration that takes over what runs in `legacy/` and is a server. */
const config = ({ dir }: Place) => ({
  processes,
  legacy_takeover: {
    processes: [{ name: "old web", includes: [`${dir}/legacy/`, "--server"] }],
    force_stop_timeout: "300ms",
  },
});

/** Has a child, and one that left its session; on SIGTERM it does not end but has another child. */
const STUBBORN =
  `trap 'sleep 8103 &' TERM; sleep 8101 & setsid sleep 8102 & while :; do wait; done`;

const options = { config, start: false, files: { "legacy/run.sh": STUBBORN } };

daemonTest("the exact tree is shown, then stopped, and nothing beside it", options, async (d) => {
  await using legacy = new Legacy(d.dir);
  const script = d.path("legacy/run.sh");
  const root = legacy.start("/bin/sh", script, "--server");
  const misses = [
    legacy.start("/bin/sh", script, "--other"),
    legacy.start("/bin/sh", "-c", "sleep 8104; :", "--server"),
  ];
  const tree = [root, ...await inTree(legacy, root)];

  const { taken_over } = (await d.ok("predeploy-cleanup", "--dry-run", "--json")).json();
  assertEquals(pidsOf(taken_over), tree.sort());
  const shown = await d.ok("predeploy-cleanup", "--dry-run");
  assertMatch(shown.stdout, new RegExp(`^ {2}${root} /bin/sh .*--server \\(old web\\)$`, "m"));
  assertMatch(shown.stdout, /^ {4}\d+ sleep 8102 \(old web\)$/m);
  for (const pid of tree) assert(isAlive(pid), "a look stops nothing");

  const done = (await d.ok("predeploy-cleanup", "--json")).json();
  for (const pid of tree) assert(pidsOf(done.taken_over).includes(pid));
  for (const pid of tree) assert(!isAlive(pid), `${pid} is gone`);
  assertEquals(legacy.alive(/^sleep 8103$/), [], "what was forked meanwhile, too");
  assert(
    done.taken_over.processes.some(({ command }: { command: string }) => /8103/.test(command)),
  );
  for (const pid of misses) assert(isAlive(pid), "a near miss lives");
  assertStringIncludes((await d.ok("predeploy-cleanup")).stdout, "no legacy processes");
});

daemonTest("a shell whose own command line matches survives its command", options, async (d) => {
  await using legacy = new Legacy(d.dir);
  const root = legacy.start("/bin/sh", "-c", "sleep 8105; :", d.path("legacy/x"), "--server");
  const { argv } = d.command("predeploy-cleanup");
  const words = argv.map((word) => `'${word}'`).join(" ");
  const script = `${words} && echo survived; : ${d.path("legacy/")} --server`;
  const { code, stdout, stderr } = await d.run(["/bin/sh", "-c", script]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /stopped 2 legacy processes:[^]*survived\n$/);
  assert(!isAlive(root));
});

/** Root without the right to signal others. */
const POWERLESS = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill"];

/** Starts what follows as nobody. */
const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

if (Deno.uid() !== 0) {
  Deno.test.ignore("processes of others are named (needs root)", () => {});
} else {
  daemonTest("processes of others are named, and not waited for", options, async (d) => {
    await using legacy = new Legacy(d.dir);
    const server = ["/bin/sh", "-c", "sleep 8107; :", d.path("legacy/"), "--server"];
    const theirs = legacy.start(...AS_NOBODY, ...server);
    await legacy.up(/^sleep 8107$/);
    const { argv } = d.command("predeploy-cleanup", "--json");
    const result = await d.run([...POWERLESS, ...argv]);
    assertEquals(result.code, 1, result.stderr);
    const { error, detail } = result.json();
    assertMatch(error, /: old web \(pid \d+, of uid 65534, which this user may not signal\)/);
    assertEquals(detail.survivors.length, 2);
    assert(isAlive(theirs));
  });
}

daemonTest("leftovers of a killed daemon are stopped, too", options, async (d) => {
  await d.start();
  await d.deploy("v1");
  d.kill("SIGKILL");
  await d.ended();
  assertEquals((await d.ok("predeploy-cleanup", "--dry-run", "--json")).json().leftovers.length, 1);
  assert(d.leftovers().length > 0);
  const { stdout } = await d.ok("predeploy-cleanup");
  assertMatch(stdout, /^stopped worker \(pid \d+\), left by a daemon$/m);
  assertEquals(d.leftovers(), []);
});

daemonTest("nothing is touched while a release is live here", options, async (d) => {
  await using legacy = new Legacy(d.dir);
  const root = legacy.start("/bin/sh", "-c", "sleep 8108; :", d.path("legacy/"), "--server");
  await d.start();

  const refused = await d.cli("predeploy-cleanup");
  assertEquals(refused.code, 5);
  assertMatch(refused.stderr, /^error: a daemon \(pid \d+\) is alive, but no release is live\n/);

  await d.deploy("v1");
  assertEquals(
    (await d.ok("predeploy-cleanup")).stdout,
    "a release is live: nothing to clean up\n",
  );
  assertEquals((await d.ok("predeploy-cleanup", "--json")).json().daemon, "active");
  assert(isAlive(root) && d.running);

  const moved = ["-o", "proxy.address=127.0.0.1:1"];
  const elsewhere = await d.cli("predeploy-cleanup", ...moved);
  assertEquals(elsewhere.code, 5);
  assertStringIncludes(elsewhere.stderr, "it serves no proxy; the configuration says 127.0.0.1:1");
  const dry = await d.ok("predeploy-cleanup", ...moved, "--stop-daemon", "--dry-run", "--json");
  assertEquals(dry.json().daemon, "stopped");
  assert(isAlive(root) && d.running);
  const stopped = await d.ok("predeploy-cleanup", ...moved, "--stop-daemon");
  assertMatch(stopped.stdout, /^stopped the daemon\n/);
  assertEquals((await d.ended()).code, 0);
  assert(!isAlive(root));
});

daemonTest("a release with another version of the program is told of", options, async (d) => {
  d.write("v2/supervisor", `#!/bin/sh\necho '{"version":"9.9.9"}'\n`, 0o755);
  d.write("v3/supervisor", "#!/bin/sh\nexit 3\n", 0o755);
  d.write("v4/other", "");
  const said = async (release: string) =>
    (await d.ok("predeploy-cleanup", "--release-path", release, "--json")).json().other_version;
  assertEquals(await said("v2"), "9.9.9");
  assertMatch(await said("v3"), /^unknown/);
  assertEquals(await said("v4"), undefined);
  const { code, stderr } = await d.cli("predeploy-cleanup", "--release-path", "v5");
  assertEquals(code, 1);
  assertStringIncludes(stderr, "cannot be used: no such file or directory");
});

daemonTest("what is no daemon of this application stops the command", options, async (d) => {
  await using legacy = new Legacy(d.dir);
  const root = legacy.start("/bin/sh", "-c", "sleep 8109; :", d.path("legacy/"), "--server");
  const refused = async (code: number, words: RegExp, ...args: string[]) => {
    const result = await d.cli("predeploy-cleanup", ...args);
    assertEquals(result.code, code, result.stderr);
    assertMatch(result.stderr, words);
    assertEquals(result.stderr.split("\n").length, 3, "a sentence and a fix");
    assert(isAlive(root));
  };
  d.write("run/control.sock", "");
  await refused(1, /^error: what lies at the control socket ".*" is not a socket\n/);
  Deno.removeSync(d.socket);
  await d.start();
  await refused(5, /runs the application "app", not "other"\n/, "-o", "application=other");
  d.kill("SIGSTOP");
  await refused(4, /does not answer/);
  d.kill("SIGCONT");
});

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

/** Waits until the two children of the script are there. */
function inTree(legacy: Legacy, root: number): Promise<number[]> {
  return until("the whole tree", () => {
    const pids = legacy.alive(/^sleep 810[12]$/).filter((pid) => parentOf(pid) === root);
    return pids.length === 2 && pids;
  });
}

function parentOf(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

function pidsOf({ processes }: { processes: { pid: number }[] }): number[] {
  return processes.map(({ pid }) => pid).sort();
}
