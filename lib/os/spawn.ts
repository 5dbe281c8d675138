/**
 * Starting a program: in its own session, with exactly the environment it was given, its output in
 * files, as the user it shall be.
 *
 * posix_spawn(3) of glibc and not the runtime's own command, because that (a) copies our page tables
 * when it makes a session (40 ms at 1 GB, against 0.2 ms), (b) cannot open files for the child, so
 * that a shell would have to, which changes the environment (PWD, names that are no identifiers), and
 * (c) reports signals and stolen statuses wrongly. Here the kernel stops us until the child has
 * executed, so whatever is wrong with the program is known before spawn() returns.
 *
 * | fails at                                | what is known                                          |
 * | --------------------------------------- | ------------------------------------------------------ |
 * | cwd, program lookup, user, output files | Failure, nothing was started                           |
 * | posix_spawn (interpreter, format, fork) | Failure, nothing was started                           |
 * | exec by setpriv (only with identity)    | exit 126 or 127, its message is in the stderr file     |
 *
 * Invariants: the pid is that of the program itself (setpriv executes it in place); the child has fds 0, 1,
 * 2 and nothing of ours, default signals, none blocked; a child that was started is always waited for.
 */

import { chown } from "./files.ts";
import { Failure } from "../core/failure.ts";
import { children } from "./children.ts";
import {
  cString,
  cStrings,
  errno,
  libc,
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  openFd,
} from "./ffi.ts";
import { restoreFileLimit } from "./limits.ts";
import { readRow } from "./proc.ts";
import { checkDirectory, findProgram, interpreterOf, type StartDetail } from "./program.ts";
import { errnoReason } from "./reason.ts";
import type { Child, Identity, SpawnSpec } from "./system.ts";
import { isListed } from "./users.ts";

/** Where the program that takes on a user (util-linux) is looked for: not the child's business. */
const SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin";

const DEV_NULL = "/dev/null";

/** A start time that no process has. */
const NEVER = "0";

const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;

/** Room for the opaque types of spawn.h; glibc's are 336 and 80 bytes, sigset_t 128. */
const OPAQUE_SIZE = 1024;
const SIGSET_SIZE = 128;

const ENOENT = 2;
const E2BIG = 7;
const ENOEXEC = 8;
const EAGAIN = 11;

/** As {@linkcode System.spawn}. @throws Failure */
export function spawn(spec: SpawnSpec): Child {
  const { argv, cwd, env } = spec;
  const detail: StartDetail = { argv, cwd, ...(spec.identity && { user: spec.identity.user }) };
  refuseNul(spec, detail);
  checkDirectory(cwd, detail);
  const program = findProgram(argv[0] ?? "", env.PATH, cwd, detail);
  const run = commandAs(spec.identity, program, argv, detail);
  const fds: number[] = [];
  try {
    fds.push(openFor(DEV_NULL, O_RDONLY, detail));
    fds.push(openFor(spec.output?.stdout ?? DEV_NULL, outputFlags(spec), detail));
    fds.push(openFor(spec.output?.stderr ?? DEV_NULL, outputFlags(spec), detail));
    giveOutput(spec);
    const pid = posixSpawn(run, cwd, env, fds, program, detail);
    const exited = children.add(pid);
    restoreFileLimit(pid);
    return { pid, start: startOf(pid), exited };
  } finally {
    for (const fd of fds) libc().close(fd);
  }
}

/**
 * When a child of ours began. Its row is there even if it has ended, for reaping is up to us; should
 * it be gone all the same, it has ended, and a start time that matches nothing says so. A child that
 * runs but cannot be identified could never be signalled again: it is not left alive.
 */
function startOf(pid: number): string {
  try {
    return readRow(pid)?.start ?? NEVER;
  } catch (error) {
    Deno.kill(-pid, "SIGKILL");
    throw error;
  }
}

interface Command {
  file: string;
  argv: string[];
}

/** What to execute so that `program` runs as `identity`. */
function commandAs(
  identity: Identity | undefined,
  program: string,
  argv: string[],
  detail: StartDetail,
): Command {
  if (identity === undefined) return { file: program, argv };
  const us = Deno.uid();
  if (us !== 0) {
    if (us === identity.uid && Deno.gid() === identity.gid) return { file: program, argv };
    throw new Failure(
      `cannot start "${argv[0]}" as user "${identity.user}": this daemon runs as uid ${us}, ` +
        "and only root may change the user",
      { fix: "run the daemon as root, or remove the user setting", detail },
    );
  }
  const groups = isListed(identity.uid) ? "--init-groups" : "--clear-groups";
  const who = [`--reuid=${identity.uid}`, `--regid=${identity.gid}`, groups];
  return { file: setpriv(detail), argv: ["setpriv", ...who, "--", program, ...argv.slice(1)] };
}

function setpriv(detail: StartDetail): string {
  try {
    return findProgram("setpriv", SYSTEM_PATH, "/", detail);
  } catch (cause) {
    throw new Failure(
      `cannot start "${detail.argv[0]}" as user "${detail.user}": there is no program "setpriv"`,
      { fix: "install util-linux", detail, cause },
    );
  }
}

function posixSpawn(
  run: Command,
  cwd: string,
  env: Record<string, string>,
  fds: number[],
  program: string,
  detail: StartDetail,
): number {
  const c = libc();
  const attributes = new Uint8Array(OPAQUE_SIZE);
  const actions = new Uint8Array(OPAQUE_SIZE);
  const signals = new Uint8Array(SIGSET_SIZE);
  c.posix_spawnattr_init(attributes);
  c.posix_spawnattr_setflags(attributes, SETSIGDEF | SETSIGMASK | SETSID);
  c.posix_spawnattr_setsigmask(attributes, signals);
  c.sigfillset(signals);
  c.posix_spawnattr_setsigdefault(attributes, signals);
  c.posix_spawn_file_actions_init(actions);
  fds.forEach((fd, target) => c.posix_spawn_file_actions_adddup2(actions, fd, target));
  const directory = cString(cwd);
  const changes = c.posix_spawn_file_actions_addchdir_np?.(actions, directory) === 0;
  const args = cStrings(run.argv);
  const variables = cStrings(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  const pid = new Int32Array(1);
  const spawnIt = () =>
    c.posix_spawn(pid, cString(run.file), actions, attributes, args.pointers, variables.pointers);
  const failed = changes ? spawnIt() : inDirectory(cwd, spawnIt);
  c.posix_spawn_file_actions_destroy(actions);
  c.posix_spawnattr_destroy(attributes);
  if (failed !== 0) throw refusal(failed, program, detail);
  return pid[0];
}

/** For a glibc before 2.29: the directory is that of the whole process, but only for this turn. */
function inDirectory(cwd: string, run: () => number): number {
  const before = Deno.cwd();
  Deno.chdir(cwd);
  try {
    return run();
  } finally {
    Deno.chdir(before);
  }
}

/** Why the kernel would not execute a program that is there and executable. */
function refusal(number: number, program: string, detail: StartDetail): Failure {
  const what = `cannot start "${detail.argv[0]}"`;
  const interpreter = interpreterOf(program);
  if (number === ENOENT && interpreter !== undefined) {
    const shown = JSON.stringify(interpreter).slice(1, -1);
    return new Failure(`${what}: its first line asks for "${shown}", which is not there`, {
      fix: interpreter.endsWith("\r")
        ? "The file has Windows line ends: convert it (sed -i 's/\\r$//')."
        : "Install the interpreter, or correct the first line.",
      detail,
    });
  }
  if (number === ENOENT) {
    return new Failure(`${what}: the loader that "${program}" asks for is not there`, {
      fix: "It was built for another system or C library.",
      detail,
    });
  }
  if (number === ENOEXEC) {
    return new Failure(`${what}: "${program}" is neither a program of this machine nor a script`, {
      fix: "A script needs its interpreter in the first line, such as #!/bin/sh.",
      detail,
    });
  }
  const fix = number === EAGAIN
    ? "The limit of processes is reached (ulimit -u, pids of the cgroup)."
    : number === E2BIG
    ? "shorten the arguments or the environment"
    : undefined;
  return new Failure(`${what}: ${errnoReason(number)}`, { fix, detail });
}

/**
 * Programs that open /dev/stdout or /dev/stderr anew need rights on the file behind it: it becomes
 * their user's. Devices stay whose they are.
 */
function giveOutput({ identity, output }: SpawnSpec): void {
  if (identity === undefined || output === undefined) return;
  for (const path of [output.stdout, output.stderr]) {
    if (Deno.lstatSync(path).isFile) chown(path, identity.uid, identity.gid);
  }
}

function outputFlags(spec: SpawnSpec): number {
  return spec.output === undefined ? O_RDWR : O_WRONLY | O_APPEND | O_CREAT;
}

function openFor(path: string, flags: number, detail: StartDetail): number {
  const fd = openFd(path, flags);
  if (fd >= 0) return fd;
  throw new Failure(
    `cannot start "${detail.argv[0]}": cannot open "${path}" for its output: ` +
      errnoReason(errno()),
    { detail },
  );
}

/** A NUL would silently cut what is behind it; a name with `=` would become another variable. */
function refuseNul(spec: SpawnSpec, detail: StartDetail): void {
  const refuse = (what: string) => {
    throw new Failure(`cannot start "${spec.argv[0] ?? ""}": ${what}`, { detail });
  };
  if (spec.argv.some((word) => word.includes("\0"))) refuse("an argument contains a NUL byte");
  if (spec.cwd.includes("\0")) refuse("the working directory contains a NUL byte");
  for (const [name, value] of Object.entries(spec.env)) {
    if (name === "" || name.includes("=") || name.includes("\0") || value.includes("\0")) {
      refuse(`the environment variable ${JSON.stringify(name)} cannot be passed on`);
    }
  }
}
