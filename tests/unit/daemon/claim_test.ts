/** Making a daemon the only one: real directories, real locks. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { ControlConfig } from "../../../lib/config/config.ts";
import { Exit, Failure } from "../../../lib/core/failure.ts";
import { type Claim, claim } from "../../../lib/daemon/claim.ts";
import { type Paths, pathsOf } from "../../../lib/daemon/paths.ts";
import type { Machine } from "../../../lib/os/system.ts";
import { Scratch } from "../../kit/scratch.ts";

const root = Deno.uid() === 0;
const SELF = { pid: 4242, start: "77", boot_id: "boot" };

/** As far as a claim asks: names are numbers. */
const machine = {
  self: SELF,
  user: (name: string) => ({ user: name, uid: Number(name), gid: Number(name), home: "/" }),
  groupId: (name: string) => {
    if (!/^\d+$/.test(name)) throw new Failure(`there is no group "${name}"`);
    return Number(name);
  },
} as Machine;

function place(scratch: Scratch, more: { socket?: string; state?: string } = {}): Paths {
  const identity = {
    file: "/app/supervisor.yaml",
    dir: "/app",
    application: "shop",
    state_dir: scratch.path(more.state ?? "state"),
    control: { mode: 0o600, socket: more.socket },
  };
  return pathsOf(identity, { HOME: scratch.dir, XDG_RUNTIME_DIR: scratch.path("run") }, 7);
}

function claimed(paths: Paths, control: Partial<ControlConfig> = {}, pidFile?: string): Claim {
  return claim(paths, { mode: 0o600, ...control }, machine, pidFile);
}

function refused(paths: Paths, control: Partial<ControlConfig> = {}, pidFile?: string): Failure {
  return assertThrows(() => claimed(paths, control, pidFile), Failure);
}

const modeOf = (path: string) => (Deno.statSync(path).mode! & 0o777).toString(8);

Deno.test("a claim makes private directories and a pid file that names us", () => {
  using scratch = new Scratch();
  const paths = place(scratch);
  const mine = claimed(paths);
  for (const dir of [paths.runtime_dir, paths.state_dir, paths.log_dir, paths.spool_dir]) {
    assertEquals(modeOf(dir), "700", dir);
  }
  assertEquals(Deno.readTextFileSync(paths.pid_file), "4242 77 boot\n");
  assertEquals(mine.owner, { uid: undefined, gid: undefined });
  mine.release();
  assertEquals(scratch.read("run/supervisor/shop/pid"), undefined);
  assertEquals(scratch.read("state/lock"), undefined);
});

Deno.test("the second one at the same socket is refused with pid and socket", () => {
  using scratch = new Scratch();
  const paths = place(scratch);
  const mine = claimed(paths);
  const failure = refused(paths);
  assertEquals(failure.exit, Exit.running);
  assertEquals(failure.message, `a daemon (pid 4242) is already running at ${paths.socket}`);
  assertEquals(failure.detail, { pid: 4242, socket: paths.socket });
  mine.release();
  claimed(paths).release();
});

Deno.test("the second one of the same state under another socket is refused, and leaves nothing", () => {
  using scratch = new Scratch();
  const mine = claimed(place(scratch));
  const other = place(scratch, { socket: scratch.path("other", "control.sock") });
  const failure = refused(other);
  assertEquals(failure.exit, Exit.running);
  assertEquals(
    failure.message,
    `a daemon (pid 4242) already uses the state directory ${scratch.path("state")}`,
  );
  assertEquals(failure.detail, { pid: 4242, state_dir: scratch.path("state") });
  assertEquals(scratch.read("other/pid"), undefined);
  mine.release();
  claimed(other).release();
});

Deno.test("the second one at the same socket with another state is refused, and leaves nothing", () => {
  using scratch = new Scratch();
  const paths = place(scratch);
  const mine = claimed(paths);
  assertEquals(refused(place(scratch, { state: "other" })).detail?.socket, paths.socket);
  assertEquals(scratch.read("other/lock"), undefined);
  mine.release();
});

Deno.test("another place for the pid file changes who is met, not that somebody is", () => {
  using scratch = new Scratch();
  const paths = place(scratch);
  const file = scratch.path("state", "my.pid");
  Deno.mkdirSync(scratch.path("state"), { mode: 0o700 });
  const mine = claimed(paths, {}, file);
  assertEquals(Deno.readTextFileSync(file), "4242 77 boot\n");
  assertEquals(refused(paths, {}, file).message.includes("is already running at"), true);
  assertEquals(refused(paths).message.includes("uses the state directory"), true);
  mine.release();
});

Deno.test("a stale file of a dead daemon blocks nobody", () => {
  using scratch = new Scratch();
  const paths = place(scratch);
  Deno.mkdirSync(paths.runtime_dir, { recursive: true, mode: 0o700 });
  Deno.mkdirSync(paths.state_dir, { mode: 0o700 });
  Deno.writeTextFileSync(paths.pid_file, `${Deno.pid} 1 other-boot\nand more than we write`);
  Deno.writeTextFileSync(`${paths.state_dir}/lock`, "garbage");
  const mine = claimed(paths);
  assertEquals(Deno.readTextFileSync(paths.pid_file), "4242 77 boot\n");
  mine.release();
});

Deno.test("a lock that another process holds is seen; it dies, and the way is free", async () => {
  using scratch = new Scratch();
  const paths = place(scratch);
  claimed(paths).release();
  const script = 'exec 9>"$1"; flock -n 9 && echo "777 1 b" >&9 && echo locked && exec cat';
  const holder = new Deno.Command("/bin/sh", {
    args: ["-c", script, "sh", paths.pid_file],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = holder.stdout.getReader();
  await reader.read();
  assertEquals(refused(paths).message, `a daemon (pid 777) is already running at ${paths.socket}`);
  holder.kill("SIGKILL");
  await holder.status;
  await reader.cancel();
  await holder.stdin.close().catch(() => {});
  claimed(paths).release();
});

Deno.test("a directory that cannot be made is told in one sentence, and nothing is held", () => {
  using scratch = new Scratch();
  const paths = { ...place(scratch), state_dir: "/proc/nowhere" };
  const failure = refused(paths);
  assertEquals(failure.exit, Exit.failed);
  assert(failure.message.startsWith('cannot create the directory "/proc/nowhere"'));
  claimed(place(scratch)).release();
});

Deno.test("a directory that others may write in is refused", () => {
  using scratch = new Scratch();
  Deno.mkdirSync(scratch.path("state"));
  Deno.chmodSync(scratch.path("state"), 0o777);
  assert(refused(place(scratch)).message.includes("everybody may write in it"));
});

Deno.test("an unknown group ends the start before anything is made", () => {
  using scratch = new Scratch();
  const failure = refused(place(scratch), { group: "nobody-knows" });
  assertEquals(failure.message, 'there is no group "nobody-knows"');
  assertEquals([...Deno.readDirSync(scratch.dir)], []);
});

Deno.test({
  name: "with an owner or a group the runtime directory lets them through, and nothing else",
  ignore: !root,
  fn() {
    using scratch = new Scratch();
    const paths = place(scratch);
    const mine = claimed(paths, { group: "1234" });
    assertEquals([modeOf(paths.runtime_dir), modeOf(paths.state_dir)], ["710", "700"]);
    const { uid, gid } = Deno.statSync(paths.runtime_dir);
    assertEquals([uid, gid, mine.owner.gid], [Deno.uid(), 1234, 1234]);
    mine.release();
    // And again, as it is now.
    claimed(paths, { owner: "4321", group: "1234" }).release();
    claimed(paths, { owner: "4321", group: "1234" }).release();
    assertEquals(Deno.statSync(paths.runtime_dir).uid, 4321);
  },
});

Deno.test({
  name: "the directory of a daemon that lives is not changed by one that is refused",
  ignore: !root,
  fn() {
    using scratch = new Scratch();
    const paths = place(scratch);
    const mine = claimed(paths);
    refused(paths, { group: "1234" });
    assertEquals([modeOf(paths.runtime_dir), Deno.statSync(paths.runtime_dir).gid], ["700", 0]);
    mine.release();
  },
});

Deno.test({
  name: "without the right to chown the start ends with the reason, and holds nothing",
  ignore: root,
  fn() {
    using scratch = new Scratch();
    const paths = place(scratch);
    assert(refused(paths, { owner: "0" }).message.startsWith("cannot give "));
    claimed(paths).release();
  },
});

Deno.test("the directory of a configured socket stays as it is", () => {
  using scratch = new Scratch();
  Deno.mkdirSync(scratch.path("srv"), { mode: 0o755 });
  Deno.chmodSync(scratch.path("srv"), 0o755);
  const socket = scratch.path("srv", "shop.sock");
  const paths = place(scratch, { socket });
  const mine = claimed(paths, { socket, group: String(Deno.gid()) });
  assertEquals(modeOf(scratch.path("srv")), "755");
  assertEquals(scratch.read("srv/shop.pid"), "4242 77 boot\n");
  mine.release();
});
