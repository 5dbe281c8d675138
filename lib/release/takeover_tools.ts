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
 * | pm2           | nothing: its daemon is away    | nothing to stop, and it is not asked           |
 * | pm2 id        | no ids                         | nothing to stop                                |
 * | pm2 delete    | 0                              | deleted                                        |
 * | any           | anything else, or takes longer | Failure with what it said                      |
 *
 * Invariants: only names that match wholly are touched; `screen` itself takes a beginning for the name,
 * so a session is always named to it with its pid, and `pm2 delete` takes a namespace, an id or `all`
 * for the name, so an app is always named to it with its ids. No tool is called that would start what
 * is not running (`pm2` starts its daemon).
 */

import type { Clock } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { Failure } from "../core/failure.ts";
import type { Strangers } from "../os/strangers.ts";
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
  /** What stops a program, as it is shown before it is done. */
  plan(program: string): string;
  /** @throws Failure */
  stop(program: string, ground: TakeoverGround): Promise<"stopped" | "not running">;
}

/** What a takeover works with. */
export interface TakeoverGround {
  strangers: Strangers;
  clock: Clock;
  /** Of whoever asks, as the tools have it. */
  env: Readonly<Record<string, string>>;
}

export const SUPERVISORD: Keeper = {
  name: "supervisord",
  plan: (program) => `supervisorctl stop ${program}`,
  async stop(program, { clock }) {
    const argv = ["supervisorctl", "stop", program];
    const end = await run("supervisord", program, argv, clock);
    const nothing = /\(not running\)|\(no such (?:process|group)\)|no such file|refused connection/;
    if (nothing.test(end.stdout + end.stderr)) return "not running";
    if (end.code !== 0) throw refused("supervisord", program, argv, end);
    return "stopped";
  },
};

export const PM2: Keeper = {
  name: "pm2",
  plan: (program) => `pm2 delete with the ids of pm2 id ${program}`,
  async stop(program, { strangers, clock, env }) {
    if (!hasPm2(strangers, pm2Home(env))) return "not running";
    const ids = await pm2Ids(program, clock);
    if (ids.length === 0) return "not running";
    const argv = ["pm2", "delete", ...ids];
    const end = await run("pm2", program, argv, clock);
    if (end.code !== 0) throw refused("pm2", program, argv, end);
    return "stopped";
  },
};

/** Whether the daemon of PM2 that `pm2` would ask lives: its title says what it is, and its home. */
function hasPm2(strangers: Strangers, home: string | undefined): boolean {
  const titles = [...strangers.table().values()].map(({ argv }) => argv[0]);
  return titles.some((title) => {
    const own = /^PM2 v\S+: God Daemon \((.*)\)/.exec(title)?.[1];
    return own !== undefined && (home === undefined || own === home);
  });
}

/** Where `pm2` finds its daemon; undefined: it cannot be told. */
function pm2Home({ PM2_HOME, HOME }: TakeoverGround["env"]): string | undefined {
  return PM2_HOME ?? (HOME === undefined ? undefined : `${HOME}/.pm2`);
}

/** The ids of the app of exactly this name. */
async function pm2Ids(program: string, clock: Clock): Promise<string[]> {
  const argv = ["pm2", "id", program];
  const end = await run("pm2", program, argv, clock);
  const list = /\[([\s\d,]*)\]\s*$/.exec(end.stdout);
  if (end.code !== 0 || list === null) throw refused("pm2", program, argv, end);
  return list[1].match(/\d+/g) ?? [];
}

/** @throws Failure when there is no such tool */
async function run(
  keeper: Keeper["name"],
  program: string,
  argv: string[],
  clock: Clock,
): Promise<ToolEnd> {
  const end = await runTool(argv, STOP_TIME, clock);
  if (end !== undefined) return end;
  throw new Failure(`cannot stop "${program}" of ${keeper}: ${argv[0]} is not in PATH`, {
    fix: `install it, or take it out of legacy_takeover.${keeper}`,
  });
}

function refused(keeper: Keeper["name"], program: string, argv: string[], end: ToolEnd): Failure {
  const command = argv.join(" ");
  return new Failure(`cannot stop "${program}" of ${keeper}: "${command}" ${how(end)}`, {
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
  if (code === 0) return "said something else than ids";
  return `ended with code ${code}`;
}

function said({ stdout, stderr }: ToolEnd): string[] {
  return `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "").slice(-SAID);
}
