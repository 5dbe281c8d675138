/**
 * What every way of starting a program has in common: the checks before it, what to execute so that it
 * runs as the user it shall be, and what identifies it afterwards.
 *
 * Invariant: what can be known to be wrong before anything is started is a Failure here, with the same
 * sentence whichever way the program would have been started.
 */

import { Failure } from "../core/failure.ts";
import { errno, openFd } from "./ffi.ts";
import { chown } from "./files.ts";
import { readRow } from "./proc.ts";
import { checkDirectory, findProgram, interpreterOf, type StartDetail } from "./program.ts";
import { errnoReason } from "./reason.ts";
import type { Identity, SpawnSpec } from "./system.ts";
import { isListed } from "./users.ts";

/** Where the program that takes on a user (util-linux) is looked for: not the child's business. */
const SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin";

/** A start time that no process has. */
const NEVER = "0";

const E2BIG = 7;
const EAGAIN = 11;

/** A program that is there, and how to run it. */
export interface Start {
  /** Absolute path of the program itself. */
  program: string;
  /** What to execute: the program, or what takes on its user and becomes it. */
  file: string;
  argv: string[];
  detail: StartDetail;
}

/** Checks a spec and finds its program. @throws Failure */
export function prepare(spec: SpawnSpec): Start {
  const { argv, cwd, env, identity } = spec;
  const detail: StartDetail = { argv, cwd, ...(identity && { user: identity.user }) };
  refuseNul(spec, detail);
  checkDirectory(cwd, detail);
  const program = findProgram(argv[0] ?? "", env.PATH, cwd, detail);
  return { program, detail, ...commandAs(identity, program, argv, detail) };
}

/** Opens a file for the output of a program. @throws Failure naming it */
export function openFor(path: string, flags: number, detail: StartDetail): number {
  const fd = openFd(path, flags);
  if (fd >= 0) return fd;
  throw new Failure(
    `cannot start "${detail.argv[0]}": cannot open "${path}" for its output: ` +
      errnoReason(errno()),
    { detail },
  );
}

/**
 * Programs that open /dev/stdout or /dev/stderr anew need rights on the file behind it: it becomes
 * their user's. Devices stay whose they are.
 */
export function giveOutput(identity: Identity | undefined, paths: string[]): void {
  if (identity === undefined) return;
  for (const path of paths) {
    if (Deno.lstatSync(path).isFile) chown(path, identity.uid, identity.gid);
  }
}

/**
 * When a child of ours began. Its row is there even if it has ended, for reaping is up to us; should
 * it be gone all the same, it has ended, and a start time that matches nothing says so. A child that
 * runs but cannot be identified could never be signalled again: it is not left alive.
 */
export function startOf(pid: number): string {
  try {
    return readRow(pid)?.start ?? NEVER;
  } catch (error) {
    Deno.kill(-pid, "SIGKILL");
    throw error;
  }
}

/** The failure of a start that the kernel refused for no fault of the program. */
export function refused(number: number | undefined, why: string, detail: StartDetail): Failure {
  const fix = number === EAGAIN
    ? "The limit of processes is reached (ulimit -u, pids of the cgroup)."
    : number === E2BIG
    ? "shorten the arguments or the environment"
    : undefined;
  return new Failure(`cannot start "${detail.argv[0]}": ${why}`, { fix, detail });
}

/** The failure of a script whose interpreter is not there. */
export function noInterpreter(interpreter: string, detail: StartDetail): Failure {
  const shown = JSON.stringify(interpreter).slice(1, -1);
  return new Failure(
    `cannot start "${detail.argv[0]}": its first line asks for "${shown}", which is not there`,
    {
      fix: interpreter.endsWith("\r")
        ? "The file has Windows line ends: convert it (sed -i 's/\\r$//')."
        : "Install the interpreter, or correct the first line.",
      detail,
    },
  );
}

/** The interpreter that a script asks for, when that is known not to be there. */
export function missingInterpreter(program: string): string | undefined {
  const interpreter = interpreterOf(program);
  if (!interpreter?.startsWith("/")) return undefined;
  try {
    Deno.statSync(interpreter);
    return undefined;
  } catch (error) {
    // Not reachable for us is not the same as missing: the kernel will tell.
    return error instanceof Deno.errors.NotFound ? interpreter : undefined;
  }
}

/** What to execute so that `program` runs as `identity`. */
function commandAs(
  identity: Identity | undefined,
  program: string,
  argv: string[],
  detail: StartDetail,
): { file: string; argv: string[] } {
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
