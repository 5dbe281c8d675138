/**
 * A failed start, told in full: what was run, how it ended, what it said last, and one thing to do.
 *
 * Invariant: no environment value appears; the sentence names the process, and the fix fits what is
 * known, not what is likely.
 */

import { within } from "../core/clock.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { ExitStatus, System } from "../os/system.ts";
import { ownerOf } from "./listening.ts";
import { describeProbe } from "./probe.ts";
import type { Run } from "./run.ts";
import type { OutputLine, ProbeSpec, ProcessSpec, StartFailureDetail } from "./types.ts";

/** Lines of output told with a failure, for each stream. */
const LAST_LINES = 20;
/** How long the reading of the last output may take: a program may print megabytes before it ends. */
const SETTLE_LIMIT = 5_000;
/** Codes by which shells say that a command could not be executed. */
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;

/** Why an attempt failed: it could not be spawned, ended, or was not proven. */
export type Trouble =
  | { kind: "unspawned"; error: unknown }
  | { kind: "ended"; run: Run }
  | { kind: "unproven"; run: Run; reason: string; port_taken: boolean };

/** The reason in a few words, for status. */
export function describeTrouble(trouble: Trouble): string {
  switch (trouble.kind) {
    case "unspawned":
      return messageOf(trouble.error);
    case "ended":
      return trouble.run.ending;
    case "unproven":
      return trouble.reason;
  }
}

/**
 * Puts the failure together. Looks at the port in the turn of the call, then waits a moment for the
 * last output.
 */
export async function startFailure(
  spec: ProcessSpec,
  probe: ProbeSpec,
  trouble: Trouble,
  system: System,
): Promise<Failure> {
  const facts = factsOf(trouble.kind === "unspawned" ? spec : trouble.run.spec, trouble);
  if (trouble.kind === "unspawned") {
    const cause = trouble.error instanceof Failure ? trouble.error : undefined;
    return new Failure(`process "${spec.instance}" did not start: ${messageOf(trouble.error)}`, {
      fix: cause?.fix,
      detail: { ...cause?.detail, ...facts },
      cause: trouble.error,
    });
  }
  const { run } = trouble;
  const port_taken = trouble.kind === "unproven"
    ? trouble.port_taken
    : portTaken(system, run, probe);
  await within(system.clock, SETTLE_LIMIT, run.output.settle());
  const ofRun = run.output.recent().filter((line) => line.at >= run.startedAt);
  const detail: StartFailureDetail = {
    ...facts,
    // An unproven one ends because we stop it, which would look like the reason.
    ...(trouble.kind === "ended" && run.exit &&
      { exit_code: run.exit.code, exit_signal: run.exit.signal }),
    elapsed_ms: run.upMs,
    ...(port_taken && { port_taken }),
    ...(trouble.kind === "unproven" && { probe: trouble.reason }),
    stderr: lastLines(ofRun, "stderr"),
    stdout: lastLines(ofRun, "stdout"),
  };
  const why = sentence(trouble, probe, port_taken);
  return new Failure(`process "${spec.instance}" did not start: ${why}`, {
    fix: port_taken
      ? `end the program that holds port ${run.spec.port}, or give a range of ports`
      : fixFor(trouble, run.spec, probe),
    detail: { ...detail },
  });
}

/**
 * Whether the port of a program that just ended is held by somebody else, who is then the likely
 * reason of its end.
 */
function portTaken(system: System, run: Run, probe: ProbeSpec): boolean {
  const port = probe.kind === "none" ? run.spec.port : probe.port;
  if (port === undefined) return false;
  const host = probe.kind === "none" ? "127.0.0.1" : probe.host;
  const owner = ownerOf(system, run.id.pid, { host, port });
  if (owner.who === "unknown") return system.group(run.id.pid).members.length === 0;
  return owner.who === "stranger";
}

function factsOf(spec: ProcessSpec, trouble: Trouble): StartFailureDetail {
  const env = trouble.kind === "unspawned" ? spec.env : trouble.run.env;
  return {
    process: spec.instance,
    ...(spec.release !== undefined && { release: spec.release }),
    argv: spec.argv,
    cwd: spec.cwd,
    ...(spec.identity && { user: spec.identity.user }),
    env_keys: Object.keys(env).sort(),
    ...(spec.port !== undefined && { port: spec.port }),
    stderr: [],
    stdout: [],
  };
}

function sentence(
  trouble: Exclude<Trouble, { kind: "unspawned" }>,
  probe: ProbeSpec,
  port_taken: boolean,
): string {
  if (trouble.kind === "unproven") return trouble.reason;
  const { run } = trouble;
  if (port_taken) return `it ${run.ending}, and another program listens on its port`;
  if (probe.kind === "none") return `it ${run.ending}`;
  return `it ${run.ending}, before ${describeProbe(probe)} succeeded`;
}

function fixFor(
  trouble: Exclude<Trouble, { kind: "unspawned" }>,
  spec: ProcessSpec,
  probe: ProbeSpec,
): string {
  if (trouble.kind === "unproven") {
    if (probe.kind === "none") return "look at its last output";
    return `check that it listens on ${probe.host} port ${probe.port}, or raise health.timeout`;
  }
  return fixForExit(trouble.run.exit, spec.cwd);
}

/** What to do about a program that ended in this way instead of working. */
export function fixForExit(exit: ExitStatus | undefined, cwd: string): string {
  if (exit?.code === NOT_FOUND) return `check that the command exists, as seen from ${cwd}`;
  if (exit?.code === NOT_EXECUTABLE) return "make the command executable (chmod +x)";
  if (exit?.signal === "SIGKILL") return "look whether the machine ran out of memory (dmesg)";
  if (exit?.code === 0) return "let the command stay in the foreground";
  return `look at its last output, or run the command by hand in ${cwd}`;
}

/** The last lines of one stream, without the rest. */
export function lastLines(lines: OutputLine[], stream: OutputLine["stream"]): string[] {
  return lines.filter((line) => line.stream === stream).slice(-LAST_LINES).map(({ line }) => line);
}
