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

import { Failure } from "../core/failure.ts";
import { children } from "./children.ts";
import { cString, cStrings, libc, O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "./ffi.ts";
import { restoreFileLimit } from "./limits.ts";
import { interpreterOf, type StartDetail } from "./program.ts";
import { errnoReason } from "./reason.ts";
import {
  giveOutput,
  noInterpreter,
  openFor,
  prepare,
  refused,
  type Start,
  startOf,
} from "./start.ts";
import type { Child, SpawnSpec } from "./system.ts";

const DEV_NULL = "/dev/null";

const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;

/** Room for the opaque types of spawn.h; glibc's are 336 and 80 bytes, sigset_t 128. */
const OPAQUE_SIZE = 1024;
const SIGSET_SIZE = 128;

const ENOENT = 2;
const ENOEXEC = 8;

/** As {@linkcode System.spawn}. @throws Failure */
export function spawn(spec: SpawnSpec): Child {
  const start = prepare(spec);
  const { detail } = start;
  const { stdout, stderr } = spec.output ?? { stdout: DEV_NULL, stderr: DEV_NULL };
  const fds: number[] = [];
  try {
    fds.push(openFor(DEV_NULL, O_RDONLY, detail));
    fds.push(openFor(stdout, outputFlags(spec), detail));
    fds.push(openFor(stderr, outputFlags(spec), detail));
    giveOutput(spec.identity, [stdout, stderr]);
    const pid = posixSpawn(start, spec, fds);
    const exited = children.add(pid);
    restoreFileLimit(pid);
    return { pid, start: startOf(pid), exited };
  } finally {
    for (const fd of fds) libc().close(fd);
  }
}

function posixSpawn(run: Start, { cwd, env }: SpawnSpec, fds: number[]): number {
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
  if (failed !== 0) throw refusal(failed, run.program, run.detail);
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
  if (number === ENOENT && interpreter !== undefined) return noInterpreter(interpreter, detail);
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
  return refused(number, errnoReason(number), detail);
}

function outputFlags(spec: SpawnSpec): number {
  return spec.output === undefined ? O_RDWR : O_WRONLY | O_APPEND | O_CREAT;
}
