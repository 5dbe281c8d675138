/** `logs` over processes and releases, and a disk that is full. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { Following } from "../kit/following.ts";
import { Fifo } from "../kit/gate.ts";
import { smallDisk, smallDiskDaemonTest } from "../kit/small_disk.ts";
import { until } from "../kit/wait.ts";

/** Records as `logs --json` shows them. */
async function shown(d: Daemon, ...args: string[]) {
  const { stdout } = await d.ok("logs", "--json", ...args);
  return stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Waits until a line is in a log, and the clock has gone on since. */
async function printed(d: Daemon, id: string, line: string): Promise<void> {
  await until(`"${line}" of ${id}`, () => d.read(`state/log/${id}.log`)?.includes(`"${line}"`));
  const then = Date.now();
  await until("the next millisecond", () => Date.now() > then);
}

/** Says what it is told, in each release by a FIFO of its own. */
const talker = (name: string, dir: string) => ({
  command:
    `i=0; while read _ <${dir}/${name}-{{release_id}}; do i=$((i+1)); echo "${name} {{release_id}} $i"; done; exec sleep 1000`,
});

daemonTest("logs are merged in the order of time, over processes and releases", {
  config: ({ dir }) => ({
    processes: { alpha: talker("alpha", dir), beta: talker("beta", dir) },
  }),
}, async (d) => {
  await using alpha1 = new Fifo(d.path("alpha-v1"));
  await using beta1 = new Fifo(d.path("beta-v1"));
  await using alpha2 = new Fifo(d.path("alpha-v2"));
  await using beta2 = new Fifo(d.path("beta-v2"));
  await d.deploy("v1");
  await using all = new Following(d.command("logs", "-f", "--json"));
  await using beta = new Following(d.command("logs", "-f", "--process", "beta", "--grep", " 2"));
  const say = async (fifo: Fifo, id: string, number: number) => {
    fifo.release();
    await printed(d, id, `${id} ${fifo.path.slice(-2)} ${number}`);
  };
  await say(beta1, "beta", 1);
  await say(alpha1, "alpha", 1);
  await say(beta1, "beta", 2);
  await say(alpha1, "alpha", 2);
  const between = new Date().toISOString();
  await d.deploy("v2");
  await say(alpha2, "alpha", 1);
  await say(beta2, "beta", 1);
  await say(alpha2, "alpha", 2);
  await say(beta2, "beta", 2);

  const expected = [
    "beta v1 1",
    "alpha v1 1",
    "beta v1 2",
    "alpha v1 2",
    "alpha v2 1",
    "beta v2 1",
    "alpha v2 2",
    "beta v2 2",
  ];
  const lines = (records: { release: string; line: string }[]) =>
    records.map(({ release, line }) => {
      assertEquals(release, line.split(" ")[1]);
      return line;
    });
  assertEquals(lines(await shown(d)), expected);
  assertEquals(lines(await shown(d, "--lines", "3")), expected.slice(-3));
  assertEquals(lines(await shown(d, "--since", between)), expected.slice(4));
  assertEquals(
    lines(await shown(d, "--since", between, "--process", "alpha", "--grep", " 2")),
    ["alpha v2 2"],
  );
  await until("all eight lines followed", () => all.stdout.trim().split("\n").length === 8);
  assertEquals(lines(all.stdout.trim().split("\n").map((line) => JSON.parse(line))), expected);
  // What comes, as what was: of one process, with a text, over both releases.
  await until("both lines followed", () => beta.stdout.trim().split("\n").length === 2);
  for (const line of beta.stdout.trim().split("\n")) {
    assertMatch(line, / beta +out {2}beta v[12] 2$/);
  }
});

/** Prints far more than the disk holds whenever it is told to, and says when it is through. */
const flood = (dir: string) =>
  `while read _ <${dir}/print; do
     awk 'BEGIN { p = sprintf("%200s", ""); for (i = 1; i <= 50000; i++) print i p }' 2>/dev/null
     echo through >${dir}/printed
   done; exec sleep 1000`;

smallDiskDaemonTest("a disk that is full stops no program and no daemon, and is told", {
  start: false,
  config: ({ dir }) => ({
    processes: { flood: { command: flood(dir) } },
    logs: { mode: "production", output: `${dir}/state/log/daemon.log` },
  }),
}, async (d) => {
  Deno.mkdirSync(d.path("state"), { mode: 0o700 });
  using _disk = smallDisk(d.path("state/log"), "1m");
  await using print = new Fifo(d.path("print"));
  await using done = new Fifo(d.path("printed"));
  await d.start();
  await d.deploy("v1");
  for (let round = 0; round < 2; round++) {
    print.release();
    assertEquals(await done.line(), "through");
  }
  const [{ pid, state }] = (await d.status()).releases[0].processes;
  assertEquals(state, "running");
  assert(Deno.statSync(`/proc/${pid}`).isDirectory, "the same one, alive");
  const lost = await d.event("output_lost");
  assertMatch(String(lost.data.reason), /No space left/);

  // The daemon's own log is on that disk, too; nothing of what it does needs it.
  await d.deploy("v2");
  assertEquals((await d.status()).active_release_id, "v2");

  for (const { name } of Deno.readDirSync(d.path("state/log"))) {
    if (/\.log/.test(name)) Deno.truncateSync(d.path("state/log", name), 0);
  }
  await d.ok("restart", "--process", "flood");
  await until("its log to go on", () => d.read("state/log/daemon.log")?.includes("process_ready"));
  await d.ok("shutdown");
  assertEquals((await d.ended()).code, 0);
});

/** Writes until nothing more fits. @returns how to make room again */
function fill(directory: string): () => void {
  const path = `${directory}/filler`;
  using file = Deno.openSync(path, { write: true, create: true });
  for (const size of [65_536, 4096, 1]) {
    try {
      for (;;) file.writeSync(new Uint8Array(size));
    } catch (error) {
      if (!(error instanceof Error && error.message.includes("No space"))) throw error;
    }
  }
  return () => Deno.removeSync(path);
}

smallDiskDaemonTest("the disk of everything that is kept is full", {
  start: false,
  config: ({ dir }) => ({ processes: { flood: { command: flood(dir) } } }),
}, async (d) => {
  using _disk = smallDisk(d.path("state"), "1m");
  await using print = new Fifo(d.path("print"));
  await using done = new Fifo(d.path("printed"));
  await d.start();
  await d.deploy("v1");
  const makeRoom = fill(d.path("state"));
  print.release();
  assertEquals(await done.line(), "through");
  // It goes live, and says that a restart would not know it.
  const args = ["--release-path", d.release("v2"), "--release-id", "v2"];
  const { code, stdout, stderr } = await d.cli("deploy", ...args);
  assertEquals(code, 6, stdout + stderr);
  assertMatch(stdout + stderr, /v2 is live .*\n.*no space left on device/i);
  assertEquals((await d.status()).active_release_id, "v2");
  await d.event("journal_failed");
  print.release();
  assertEquals(await done.line(), "through");
  makeRoom();
  await d.deploy("v3");
  await d.event("journal_lost");
  const { live } = JSON.parse(d.read("state/state.json")!);
  assertEquals(live.release_id, "v3");
  await d.ok("shutdown");
  assertEquals((await d.ended()).code, 0);
});
