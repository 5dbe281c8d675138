/**
 * What a daemon remembers of the one before it, and whom it believes: state and process files that
 * are broken, foreign, out of date or cannot be written; a release that is gone; a stop on purpose.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { webProcess } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

const WEB = { config: { proxy: {}, processes: { web: webProcess() } } };

async function kill(d: Daemon): Promise<void> {
  d.kill("SIGKILL");
  await d.ended();
}

for (
  const [what, text, sentence] of [
    ["garbage", "\0\x01not json", /is not a file of this program/],
    ["half of it", '{"format":1,"application":"app","live":{"rel', /is not a file of this program/],
    ["empty", "", /is not a file of this program/],
    ["of a later format", '{"format":2}', /is not a file of this program/],
    [
      "another application's",
      '{"format":1,"application":"shop","live":null,"releases":[],"scale":{}}',
      /belongs to the application "shop", not "app"/,
    ],
  ] as const
) {
  daemonTest(`a state file that is ${what} stops the start with its name`, {
    ...WEB,
    start: false,
  }, async (d) => {
    d.write("state/state.json", text);
    const { code, stderr } = await d.cli("serve", "--detach");
    assertEquals(code, 1, stderr);
    assertMatch(stderr, sentence);
    assertStringIncludes(stderr, d.path("state/state.json"));
    assertMatch(stderr, /\nfix: /);
    assertEquals(d.read("state/state.json"), text, "nobody's file is written over");
    assertEquals(d.leftovers(), []);
  });
}

for (const text of ["\0garbage", '{"format":1,"proc', '{"format":2,"processes":[]}', "[]"]) {
  daemonTest(`a process file that is no process file (${JSON.stringify(text)}) is told, no more`, {
    ...WEB,
    start: false,
  }, async (d) => {
    d.write("state/processes.json", text);
    await d.start();
    assertEquals((await d.status()).orphans, []);
    const { data } = await d.event("state_unusable");
    assertEquals(data.file, d.path("state/processes.json"));
    await d.deploy("v1");
    assertEquals(JSON.parse(d.read("state/processes.json")!).processes.length, 1);
  });
}

daemonTest("only who is proven to be ours is signalled: not by pid alone, not from another boot", {
  ...WEB,
}, async (d) => {
  await d.deploy("v1");
  await kill(d);
  const file = d.path("state/processes.json");
  const book = JSON.parse(Deno.readTextFileSync(file));
  const [ours] = book.processes;
  const strangers = [1, 2].map(() =>
    new Deno.Command("setsid", { args: ["sleep", "1000"], clearEnv: true }).spawn()
  );
  try {
    const start = (pid: number) => {
      const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
      return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    };
    const [recycled, rebooted] = strangers;
    book.processes.push(
      { ...ours, pid: recycled.pid },
      { ...ours, pid: rebooted.pid, start: start(rebooted.pid), boot_id: crypto.randomUUID() },
    );
    Deno.writeTextFileSync(file, JSON.stringify(book));
    await d.start();
    await d.statusUntil("the orphan to be gone", ({ orphans }) => orphans.length === 0);
    const found = (await d.events()).filter(({ event }) => event === "orphan_found");
    assertEquals(found.map(({ data }) => data.pid), [ours.pid]);
    for (const { pid } of strangers) Deno.kill(pid, "SIGCONT"); // throws when it is gone
    const known = JSON.parse(Deno.readTextFileSync(file)).processes as { pid: number }[];
    assertEquals(known.filter(({ pid }) => strangers.some((one) => one.pid === pid)), []);
  } finally {
    for (const stranger of strangers) {
      stranger.kill("SIGKILL");
      await stranger.status;
    }
  }
});

daemonTest("a full disk: the release goes live with the error named, exit 6; later it is written", {
  ...WEB,
  start: false,
}, async (d) => {
  // Two file systems, so that it is the state that cannot be written, not the logs.
  await using _state = await mounted(d, "state");
  await using _log = await mounted(d, "state/log");
  await d.start();
  await d.deploy("v1");
  const filler = d.path("state", "filler");
  await d.run(["dd", "if=/dev/zero", `of=${filler}`, "bs=1k"]);
  const path = d.release("v2");
  const full = await d.cli("deploy", "--release-path", path, "--release-id", "v2");
  assertEquals(full.code, 6, full.stderr);
  assertMatch(full.stdout + full.stderr, /state\.json".*no space left on device/);
  assertStringIncludes(full.stdout + full.stderr, "would bring back the release before");
  assertEquals((await d.get()).text.trim(), "v2", "it is live all the same");
  assertEquals(JSON.parse(d.read("state/state.json")!).live.release_id, "v1", "the old one, whole");
  await d.event("state_write_failed");

  Deno.removeSync(filler);
  await d.deploy("v3");
  assertEquals(JSON.parse(d.read("state/state.json")!).live.release_id, "v3");
  await d.ok("shutdown");
});

/** A tiny file system of its own. */
async function mounted(d: Daemon, name: string): Promise<AsyncDisposable> {
  Deno.mkdirSync(d.path(name), { recursive: true, mode: 0o700 });
  const mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", d.path(name)];
  const { code, stderr } = await d.run(mount);
  assertEquals(code, 0, stderr);
  return {
    async [Symbol.asyncDispose]() {
      await d.run(["umount", "-l", d.path(name)]);
    },
  };
}

daemonTest("a release whose directory is gone: 503, status says why, back as soon as it is", {
  ...WEB,
}, async (d) => {
  await d.deploy("v1");
  await d.ok("shutdown");
  Deno.renameSync(d.path("releases/v1"), d.path("releases/away"));
  await d.start();
  assertEquals((await d.get()).status, 503);
  const { restore, active_release_id } = await d.status();
  assertEquals([active_release_id, restore?.release_id], [null, "v1"]);
  assertEquals(restore!.error, `the release path "${d.path("releases/v1")}" does not exist`);
  assert(Date.parse(restore!.next_try_at) > 0);
  const shown = (await d.ok("status")).stdout;
  assertStringIncludes(shown, restore!.error);
  assertEquals(JSON.parse(d.read("state/state.json")!).live.release_id, "v1", "not forgotten");
  Deno.renameSync(d.path("releases/away"), d.path("releases/v1"));
  await d.statusUntil("its return", (status) => status.active_release_id === "v1");
  assertEquals((await d.get()).text.trim(), "v1");
  assertEquals((await d.status()).restore, undefined);
});

daemonTest("a stop on purpose is remembered; so are history and the way back", WEB, async (d) => {
  for (const name of ["v1", "v2", "v3"]) await d.deploy(name);
  await d.ok("stop");
  await kill(d);
  await d.start();
  const stopped = await d.status();
  assertEquals(stopped.active_release_id, null);
  assertEquals(stopped.restore, undefined);
  assertEquals((await d.get()).status, 503);
  assertEquals(stopped.releases.map(({ release_id }) => release_id), ["v1", "v2", "v3"]);

  await d.ok("rollback", "--release-id", "v2");
  assertEquals((await d.get()).text.trim(), "v2");
  await kill(d);
  await d.start();
  assertEquals((await d.get()).text.trim(), "v2", "it is live again by itself");
  await d.ok("rollback");
  assertEquals((await d.get()).text.trim(), "v3", "live before v2");
});

daemonTest("an explicit release wins over the remembered one; its orphans are stopped", {
  ...WEB,
}, async (d) => {
  await d.deploy("v1");
  await kill(d);
  const before = d.leftovers().map(({ pid }) => pid);
  await d.start("--release-path", d.release("v2"), "--release-id", "v2");
  assertEquals((await d.get()).text.trim(), "v2");
  await until(
    "the old program to be gone",
    () => d.leftovers().every(({ pid }) => !before.includes(pid)),
  );
});

daemonTest("killed during its own shutdown: what was live is back, for nobody stopped it", {
  config: { proxy: { drain_timeout: "10m" }, processes: { web: webProcess() } },
}, async (d) => {
  await d.deploy("v1");
  const held = d.get(`/wait?flag=${d.path("flag")}`).catch(() => {});
  await d.statusUntil("the request", ({ leases }) => leases === 1);
  const shutdown = d.cli("shutdown");
  await until("the drain", () => d.output().includes("daemon_stopping"));
  await kill(d);
  await held;
  d.write("flag", "");
  const { code, stdout, stderr } = await shutdown;
  assert(code !== 0, `a shutdown that was cut off is no success: ${stdout}${stderr}`);
  assertMatch(stderr, /^error: /);
  await d.start();
  assertEquals((await d.get()).text.trim(), "v1");
  await d.statusUntil("the orphan to be gone", ({ orphans }) => orphans.length === 0);
});
