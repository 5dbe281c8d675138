/**
 * A worker that did not start, told in full: what was run, how it ended, what it said last, and one
 * thing to do.
 *
 * Invariant: no environment value appears; the fix fits what is known, not what is likely.
 */

import { within } from "../core/clock.ts";
import { Failure, messageOf } from "../core/failure.ts";
import { FrameBroken } from "../goridge/relay.ts";
import type { ExitStatus } from "../os/system.ts";
import { fixForExit, lastLines } from "../process/start_failure.ts";
import type { StartFailureDetail } from "../process/types.ts";
import type { PoolHost, PoolSpec } from "./types.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** How long the reading of its last output may take. */
const SETTLE_LIMIT = 5_000;
/** What PHP prints (to stdout) when the script is not there. */
const NO_SCRIPT = "Could not open input file";

/** What went wrong with a program that runs, or ran. */
export interface Trouble {
  process: WorkerProcess;
  /** It ended by itself so; undefined: we ended it. */
  exit: ExitStatus | undefined;
  /** How long that took, milliseconds. */
  elapsed: number;
  error: unknown;
}

/** A worker that was not even spawned. */
export function notSpawned(spec: PoolSpec, instance: string, error: unknown): Failure {
  const cause = error instanceof Failure ? error : undefined;
  return new Failure(`worker "${instance}" did not start: ${messageOf(error)}`, {
    fix: cause?.fix,
    detail: { ...cause?.detail, ...factsOf(spec, instance) },
    cause: error,
  });
}

/** A worker that was spawned and did not prove itself. Waits a moment for its last output. */
export async function notProven(
  spec: PoolSpec,
  instance: string,
  trouble: Trouble,
  host: PoolHost,
): Promise<Failure> {
  const { process: { output, startedWall }, exit, elapsed, error } = trouble;
  await within(host.clock, SETTLE_LIMIT, output.settle());
  const since = new Date(startedWall).toISOString();
  const lines = output.recent().filter((line) => line.at >= since);
  const stray = error instanceof FrameBroken ? error.text : "";
  const detail: StartFailureDetail = {
    ...factsOf(spec, instance),
    ...(exit !== undefined && { exit_code: exit.code, exit_signal: exit.signal }),
    elapsed_ms: elapsed,
    stderr: lastLines(lines, "stderr"),
    stdout: stray === "" ? lastLines(lines, "stdout") : stray.split("\n"),
  };
  return new Failure(`worker "${instance}" did not start: ${messageOf(error)}`, {
    fix: fixFor(spec, exit, stray, error),
    detail: { ...detail },
    cause: error,
  });
}

function factsOf({ worker, release }: PoolSpec, instance: string): StartFailureDetail {
  return {
    process: instance,
    release,
    argv: worker.argv,
    cwd: worker.cwd,
    ...(worker.identity && { user: worker.identity.user }),
    env_keys: Object.keys(worker.env).sort(),
    stderr: [],
    stdout: [],
  };
}

function fixFor(
  { worker }: PoolSpec,
  exit: ExitStatus | undefined,
  stray: string,
  error: unknown,
): string {
  if (stray.includes(NO_SCRIPT)) {
    return `check the path of the script in the command "${worker.command}": it is looked for from ${worker.cwd}`;
  }
  if (stray !== "") {
    return "let it print to stderr before its worker loop (PHP: display_errors=stderr): stdout belongs to the protocol";
  }
  if (error instanceof Failure && error.fix !== undefined) return error.fix;
  if (exit?.code === 0) return "let the command run a worker loop that waits for requests";
  return fixForExit(exit, worker.cwd);
}
