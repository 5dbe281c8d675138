/**
 * Who runs it and where its things lie: as root and as a user without any rights, with and without
 * the XDG directories; modes and owners of everything; who may talk to it.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { type Daemon, daemonTest, supervisor } from "../kit/daemon.ts";
import { program, runtimeCache } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

/** The user and group `nobody`, and a user and group without a name. */
const NOBODY = 65534;
const STRANGER = 65533;

/**
 * The program under test as another user. Program and runtime may lie in root's home: the right to
 * read there is kept, the rights to write are not.
 */
function as(uid: number, gid = uid): string[] {
  const reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
  const user = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  return ["setpriv", ...user, ...reading, ...supervisor()];
}

/** A directory that belongs to NOBODY for all tests of this file, with the packages of the source. */
const home = Deno.makeTempDirSync({ prefix: "sup-nobody-" });
const root = Deno.uid() === 0;
if (root) {
  const run = (...[name, ...args]: string[]) => new Deno.Command(name, { args }).outputSync();
  Deno.mkdirSync(join(home, "deno"));
  if (!Deno.env.has("SUPERVISOR_BIN")) {
    run("cp", "-r", join(runtimeCache(), "npm"), join(home, "deno"));
  }
  for (const name of ["run", "state"]) Deno.mkdirSync(join(home, name), { mode: 0o700 });
  run("chown", "-R", `${NOBODY}:${NOBODY}`, home);
}
addEventListener("unload", () => Deno.removeSync(home, { recursive: true }));

const WORKER = `processes: { worker: { command: "echo hello; exec sleep 1000" } }\n`;
const AS_NOBODY = {
  program: as(NOBODY),
  env: { DENO_DIR: join(home, "deno") },
  start: false,
};

/** A test that needs root to become somebody else, or to have the places of root. */
function rootTest(...args: Parameters<typeof daemonTest>): void {
  if (root) daemonTest(...args);
  else Deno.test.ignore(`${args[0]} (needs root)`, () => {});
}

/** `mode owner` of a path. */
function owned(path: string): string {
  const { mode, uid } = Deno.lstatSync(path);
  return `${(mode! & 0o7777).toString(8)} ${uid}`;
}

/** Starts it, deploys, checks where everything lies and who may touch it, ends it. */
async function assertPlaces(
  d: Daemon,
  places: { runtime: string; state: string; log: string },
  uid: number,
): Promise<void> {
  const { runtime, state, log } = places;
  const started = (await d.ok("serve", "--detach", "--json")).json();
  assertEquals(started.socket, join(runtime, "control.sock"));
  assertEquals(started.log_file, join(log, "daemon.log"));
  await d.ok("deploy", "--release-path", d.release("v1"), "--release-id", "v1");
  const status = (await d.ok("status", "--json")).json();
  assertEquals([status.state_dir, status.log_dir], [state, log]);
  const [{ pid }] = status.releases[0].processes;
  for (const one of [pid, status.pid]) assertEquals(Deno.statSync(`/proc/${one}`).uid, uid);
  for (const dir of [runtime, state, log, join(log, "spool")]) {
    assertEquals(owned(dir), `700 ${uid}`, dir);
  }
  await until("the worker's log", () => exists(join(log, "worker.log")));
  const files = [
    ...["control.sock", "pid"].map((name) => join(runtime, name)),
    ...["state.json", "processes.json", "lock"].map((name) => join(state, name)),
    ...["daemon.log", "worker.log"].map((name) => join(log, name)),
  ];
  for (const file of files) assertEquals(owned(file), `600 ${uid}`, file);
  await d.ok("shutdown");
  for (const name of ["control.sock", "pid"]) assert(!exists(join(runtime, name)), name);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

rootTest("without rights, in the XDG directories", {
  ...AS_NOBODY,
  env: {
    ...AS_NOBODY.env,
    XDG_RUNTIME_DIR: join(home, "run"),
    XDG_STATE_HOME: join(home, "state"),
  },
  config: `application: xdg\n${WORKER}`,
}, async (d) => {
  Deno.chownSync(d.dir, NOBODY, NOBODY);
  const state = join(home, "state/supervisor/xdg");
  const runtime = join(home, "run/supervisor/xdg");
  await assertPlaces(d, { runtime, state, log: join(state, "log") }, NOBODY);
});

rootTest("without rights and without XDG directories: below the home", {
  ...AS_NOBODY,
  config: `application: plain\n${WORKER}`,
}, async (d) => {
  Deno.chownSync(d.dir, NOBODY, NOBODY);
  const state = d.path(".local/state/supervisor/plain");
  await assertPlaces(d, { runtime: join(state, "run"), state, log: join(state, "log") }, NOBODY);
});

const NAME = `test-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;

rootTest("as root: /run, /var/lib and /var/log", {
  config: `application: ${NAME}\n${WORKER}`,
  start: false,
}, async (d) => {
  const places = ["/run", "/var/lib", "/var/log"].map((dir) => `${dir}/supervisor/${NAME}`);
  const [runtime, state, log] = places;
  try {
    await assertPlaces(d, { runtime, state, log }, 0);
  } finally {
    for (const dir of places) Deno.removeSync(dir, { recursive: true });
  }
});

rootTest("what needs root is refused to others, by name", {
  ...AS_NOBODY,
  config: { processes: { worker: { command: "exec sleep 1000" } } },
}, async (d) => {
  Deno.chownSync(d.dir, NOBODY, NOBODY);
  const owner = await d.cli("serve", "--detach", "-o", "control.owner=0");
  assertEquals(owner.code, 1, owner.stderr);
  assertMatch(owner.stderr, /^error: [^\n]*run"[^\n]*not permitted\nfix: [^\n]+\n$/);
  assertEquals(d.leftovers(), []);

  await d.ok("serve", "--detach", "-o", "processes.worker.user=daemon");
  const deploy = await d.cli("deploy", "--release-path", d.release("v1"));
  assertEquals(deploy.code, 1);
  assertMatch(deploy.stderr, /user "daemon"[^\n]*root/);
  assertStringIncludes(deploy.stderr, "fix: ");
  await d.ok("shutdown");
});

rootTest("a deploy group reaches the socket, others do not", {
  config: {
    processes: { worker: { command: program("worker.sh") } },
    control: { group: String(NOBODY), owner: String(STRANGER), mode: "660" },
  },
  env: AS_NOBODY.env,
}, async (d) => {
  Deno.chmodSync(d.dir, 0o755);
  const info = Deno.lstatSync(d.socket);
  assertEquals([owned(d.socket), info.gid], [`660 ${STRANGER}`, NOBODY]);
  const run = Deno.statSync(d.path("run"));
  assertEquals([owned(d.path("run")), run.gid], [`710 ${STRANGER}`, NOBODY]);
  assertEquals(owned(d.path("run/pid")), "600 0");
  const status = (gid: number) => d.run([...as(NOBODY, gid), "status", "--socket", d.socket]);
  const member = await status(NOBODY);
  assertEquals(member.code, 0, member.stderr);
  const stranger = await status(STRANGER);
  assertEquals(stranger.code, 4);
  assertMatch(
    stranger.stderr,
    /^error: no permission to talk to the daemon at [^\n]*control\.sock"/,
  );
  assertMatch(stranger.stderr, /\nfix: /);
});

rootTest("names of users and groups that are not there stop the start", {
  config: { processes: { worker: { command: "exec sleep 1000" } } },
  start: false,
}, async (d) => {
  for (const key of ["owner", "group"]) {
    const { code, stderr } = await d.cli("serve", "--detach", "-o", `control.${key}=no-such-name`);
    assertEquals(code, 1, stderr);
    assertMatch(stderr, /^error: there is no (user|group) "no-such-name"[^\n]*\nfix: [^\n]+\n$/);
  }
  assertEquals(d.leftovers(), []);
});
