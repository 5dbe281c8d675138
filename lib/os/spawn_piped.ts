/**
 * Starting a program that we talk with: stdin and stdout are pipes to us, stderr is a file.
 *
 * By the runtime's own command and not by posix_spawn as in spawn.ts, because the runtime reads pipes
 * without a thread only when it made them itself (any other descriptor costs a thread of its pool for
 * every read that waits), and a socket as stdin makes PHP give up waiting after its
 * default_socket_timeout. What that command cannot do, others do on the way, each becoming the next in
 * place: `sh` opens the stderr file with our rights, `env` restores what a shell does to an
 * environment (only when there is something to restore), `setpriv` takes on the identity.
 *
 * | fails at                         | what is known                                      |
 * | -------------------------------- | -------------------------------------------------- |
 * | everything that start.ts checks  | Failure, nothing was started                       |
 * | interpreter missing, stderr file | Failure, nothing was started                       |
 * | fork, out of descriptors         | Failure, nothing was started                       |
 * | exec by sh, env, setpriv         | exit 126 or 127, the message is in the stderr file |
 *
 * Known differences from spawn.ts: argv[0] is the absolute path; a signal that the daemon itself was
 * started with as ignored stays ignored; where /bin/sh is bash, SHLVL and `_` are added.
 *
 * Invariants: the pid is that of the program itself; the runtime waits for it and nobody else does
 * (children.ts is told in the turn of the spawn); `exited` settles exactly once and never rejects.
 */

import { children } from "./children.ts";
import { libc, O_APPEND, O_CREAT, O_WRONLY } from "./ffi.ts";
import { restoreFileLimit } from "./limits.ts";
import { errnoOf, reasonOf } from "./reason.ts";
import { findProgram } from "./program.ts";
import {
  giveOutput,
  missingInterpreter,
  noInterpreter,
  openFor,
  prepare,
  refused,
  type Start,
  startOf,
} from "./start.ts";
import type { ExitStatus, PipedChild, SpawnSpec } from "./system.ts";

/** `$1` is the file for stderr. What a shell adds of its own is taken back. */
const SCRIPT = 'exec 2>>"$1" && shift && unset PWD OLDPWD SHLVL && exec "$@"';

/** Where `env` and `nice` (coreutils) are looked for. */
const SYSTEM_PATH = "/usr/bin:/bin";

/** A name that a shell takes over from its environment … */
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** … unless it has a meaning to the shell itself (dash, bash), which then changes or drops it. */
const SHELLS_OWN = new RegExp(
  "^(_|PWD|OLDPWD|SHLVL|IFS|PPID|OPTIND|OPTERR|OPTARG|LINENO|PS[0-4]|ENV|MAIL|MAILPATH|MAILCHECK|" +
    "CDPATH|RANDOM|SRANDOM|SECONDS|EPOCH\\w*|UID|EUID|GROUPS|DIRSTACK|FUNCNAME|HISTCMD|HIST\\w*|" +
    "PIPESTATUS|SHELLOPTS|POSIXLY_CORRECT|TIMEFORMAT|LINES|COLUMNS|BASH\\w*|COMP_\\w*)$",
);

/** As {@linkcode System.spawnPiped}. @throws Failure */
export function spawnPiped(spec: SpawnSpec): PipedChild {
  const start = prepare(spec);
  const missing = missingInterpreter(start.program);
  if (missing !== undefined) throw noInterpreter(missing, start.detail);
  const stderr = spec.output?.stderr ?? "/dev/null";
  // Made here and not by the shell, so that a file that cannot be opened is known at once.
  libc().close(openFor(stderr, O_WRONLY | O_APPEND | O_CREAT, start.detail));
  giveOutput(spec.identity, [stderr]);
  const child = run(start, spec, stderr);
  const announced = children.foreign(child.pid);
  restoreFileLimit(child.pid);
  const exited = ending(child.status).finally(() => announced.done());
  const { pid, stdin, stdout } = child;
  return { pid, start: startOf(pid), exited, stdin, stdout };
}

function run(start: Start, { cwd, env }: SpawnSpec, stderr: string): Deno.ChildProcess {
  const kept: Record<string, string> = {};
  const restored: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (IDENTIFIER.test(name) && !SHELLS_OWN.test(name)) kept[name] = value;
    else restored.push(`${name}=${value}`);
  }
  const tool = (name: string) => findProgram(name, SYSTEM_PATH, "/", start.detail);
  const command = [start.file, ...start.argv.slice(1)];
  if (restored.length > 0) {
    // env would take a path with `=` for a variable; in front of it `nice` of nothing is harmless.
    const guard = start.file.includes("=") ? [tool("nice"), "-n", "0"] : [];
    command.unshift(tool("env"), ...restored, ...guard);
  }
  try {
    return new Deno.Command("/bin/sh", {
      args: ["-c", SCRIPT, "sh", stderr, ...command],
      cwd,
      env: kept,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
      detached: true,
    }).spawn();
  } catch (error) {
    throw refused(errnoOf(error), reasonOf(error), start.detail);
  }
}

/** How it ended. A status the runtime cannot tell (a real-time signal) is an end all the same. */
function ending(status: Promise<Deno.CommandStatus>): Promise<ExitStatus> {
  return status.then(
    ({ code, signal }) => signal === null ? { code, signal } : { code: null, signal },
    () => ({ code: null, signal: null }),
  );
}
