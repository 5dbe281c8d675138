/**
 * What other programs watch over is taken from them by their own commands: sessions of `screen`,
 * programs of supervisord, apps of PM2.
 *
 * | tool          | it says                        | that means                                     |
 * | ------------- | ------------------------------ | ---------------------------------------------- |
 * | any           | is not installed               | screen: no sessions; else Failure              |
 * | supervisorctl | 0                              | stopped, or it was not running                 |
 * | supervisorctl | no such process                | nothing to stop                                |
 * | supervisorctl | no such file, refused          | no supervisord: nothing to stop                |
 * | pm2           | 0                              | deleted                                        |
 * | pm2           | not found                      | nothing to stop                                |
 * | any           | anything else, or takes longer | Failure with what it said                      |
 *
 * Invariant: only names that match wholly are touched; `screen` itself takes a beginning for the name,
 * so a session is always named to it with its pid.
 */

import type { Clock } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { Failure } from "../core/failure.ts";
import { runTool, type ToolEnd } from "../os/tool.ts";

/** How long `screen` may take, milliseconds. */
const SCREEN_TIME = 10_000;

/** How long a stop by a process manager may take: it waits for the program. */
const STOP_TIME = 5 * 60_000;

/** Lines of a tool's own words in an error. */
const SAID = 5;

/** Who watches over a program, and how it is told to let it go. */
export interface Keeper {
  name: "supervisord" | "pm2";
  argv(program: string): string[];
  /** What it says when there is nothing to stop. */
  nothing: RegExp;
}

export const SUPERVISORD: Keeper = {
  name: "supervisord",
  argv: (program) => ["supervisorctl", "stop", program],
  nothing: /\(not running\)|\(no such (?:process|group)\)|no such file|refused connection/,
};

export const PM2: Keeper = {
  name: "pm2",
  argv: (program) => ["pm2", "delete", program],
  nothing: /not found|doesn't exist/,
};

/** Has a program stopped by who watches over it. @throws Failure */
export async function release(
  keeper: Keeper,
  program: string,
  clock: Clock,
): Promise<"stopped" | "not running"> {
  const argv = keeper.argv(program);
  const command = argv.join(" ");
  const end = await runTool(argv, STOP_TIME, clock);
  if (end === undefined) {
    throw new Failure(`cannot stop "${program}" of ${keeper.name}: ${argv[0]} is not in PATH`, {
      fix: `install it, or take it out of legacy_takeover.${keeper.name}`,
    });
  }
  if (keeper.nothing.test(end.stdout + end.stderr)) return "not running";
  if (end.code === 0) return "stopped";
  throw new Failure(`cannot stop "${program}" of ${keeper.name}: "${command}" ${how(end)}`, {
    fix: `run ${command} by hand, and see why`,
    detail: { argv, exit_code: end.code, last_output: said(end) },
  });
}

/** Sessions of screen that bear exactly these names: name by pid. @throws Failure */
export async function screenSessions(
  names: readonly string[],
  clock: Clock,
): Promise<Map<number, string>> {
  const sessions = new Map<number, string>();
  if (names.length === 0) return sessions;
  // Its exit code says nothing (it differs by version), its list does.
  const list = await runTool(["screen", "-ls"], SCREEN_TIME, clock);
  for (const line of list?.stdout.split("\n") ?? []) {
    const found = /^\s+(\d+)\.(.+?)\t/.exec(line);
    if (found !== null && names.includes(found[2])) sessions.set(Number(found[1]), found[2]);
  }
  return sessions;
}

/** Ends a session; one that has ended by itself is no error, and what stays is seen later. */
export async function quitScreen(pid: number, name: string, clock: Clock): Promise<void> {
  await runTool(["screen", "-S", `${pid}.${name}`, "-X", "quit"], SCREEN_TIME, clock);
}

function how({ code }: ToolEnd): string {
  if (code === null) return `did not end within ${formatDuration(STOP_TIME)}`;
  return `ended with code ${code}`;
}

function said({ stdout, stderr }: ToolEnd): string[] {
  return `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "").slice(-SAID);
}
