/**
 * Taking over from an earlier setup: what `legacy_takeover` names is stopped, and proven to be gone.
 *
 * | step                                   | when it fails                                        |
 * | -------------------------------------- | ---------------------------------------------------- |
 * | first look at the process table        | Failure, nothing was touched                         |
 * | programs of supervisord, apps of PM2   | Failure: they would be started again                 |
 * | screen sessions told to quit           | what stays is stopped as processes                   |
 * | SIGTERM to every tree; wait            | after the grace period the next step                 |
 * | SIGKILL to what is left or new         | after KILL_WAIT the next step                        |
 * | last look                              | Failure naming every process that is left            |
 *
 * Every wait ends as soon as all are gone. The look is taken again before each signal, so what was
 * forked meanwhile is found.
 *
 * Invariant: whoever is signalled was in the tree (takeover_tree.ts) and is verified by start time
 * right before.
 */

import type { LegacyTakeover } from "../config/config.ts";
import { Failure } from "../core/failure.ts";
import type { Stranger } from "../os/strangers.ts";
import * as tools from "./takeover_tools.ts";
import type { TakeoverGround } from "./takeover_tools.ts";
import { type Chosen, TakeoverTree } from "./takeover_tree.ts";

export type { TakeoverGround } from "./takeover_tools.ts";

/** What the kernel gets to take the killed away, milliseconds. */
const KILL_WAIT = 5_000;

/** Rounds of SIGKILL: whoever forks faster than that is named. */
const KILL_ROUNDS = 3;

/** Longest command line that is shown, characters. */
const SHOWN = 200;

/** One process of the earlier setup. */
export interface LegacyProcess {
  /** What it belongs to. */
  name: string;
  pid: number;
  ppid: number;
  depth: number;
  uid: number | null;
  command: string;
}

/** What was stopped, or would be. */
export interface TakenOver {
  keepers: { keeper: tools.Keeper["name"]; program: string; result: string }[];
  /** Sessions of screen; `spared`: this program runs inside. */
  screens: { name: string; pid: number; spared: boolean }[];
  processes: LegacyProcess[];
}

/** Looks only. @throws Failure when the process table cannot be read */
export async function planTakeover(
  legacy: LegacyTakeover,
  ground: TakeoverGround,
): Promise<TakenOver> {
  const { tree, first, screens } = await prepare(legacy, ground);
  const keepers = keptBy(legacy).map(([keeper, program]) => ({
    keeper: keeper.name,
    program,
    result: `would run ${keeper.plan(program)}`,
  }));
  return { keepers, screens, processes: tree.look(first).map(shown) };
}

/** @throws Failure, see above */
export async function takeOver(legacy: LegacyTakeover, ground: TakeoverGround): Promise<TakenOver> {
  const { strangers, clock } = ground;
  const keepers: TakenOver["keepers"] = [];
  for (const [keeper, program] of keptBy(legacy)) {
    const result = await keeper.stop(program, ground);
    keepers.push({ keeper: keeper.name, program, result });
  }
  const { tree, first, screens } = await prepare(legacy, ground);
  const stopped = new Map<string, Chosen>();
  const note = (chosen: Chosen[]) => {
    for (const entry of chosen) stopped.set(`${entry.who.pid}:${entry.who.start}`, entry);
    return chosen.map(({ who }) => who);
  };
  note(tree.look(first));
  for (const { name, pid, spared } of screens) {
    if (!spared) await tools.quitScreen(pid, name, clock);
  }
  const denied = new Map<number, string>();
  let left = note(tree.look(strangers.table()));
  const end = async (signal: "SIGTERM" | "SIGKILL", ms: number) => {
    const signalled = await strangers.end(left, signal, ms);
    for (const { pid, start } of signalled.denied) denied.set(pid, start);
    left = note(tree.look(strangers.table()));
  };
  if (left.length > 0) await end("SIGTERM", legacy.force_stop_timeout);
  const killable = () => left.some(({ pid, start }) => denied.get(pid) !== start);
  for (let round = 0; round < KILL_ROUNDS && killable(); round++) await end("SIGKILL", KILL_WAIT);
  const survivors = tree.look(strangers.table());
  const gone = [...stopped.values()].filter(({ who }) =>
    !survivors.some((other) => other.who.pid === who.pid && other.who.start === who.start)
  );
  if (survivors.length > 0) throw stillThere(survivors, gone, denied);
  return { keepers, screens, processes: gone.map(shown) };
}

async function prepare(legacy: LegacyTakeover, { strangers, clock }: TakeoverGround) {
  const sessions = await tools.screenSessions(legacy.screens, clock);
  const first = strangers.table();
  const wanted = { processes: legacy.processes, screens: legacy.screens, sessions };
  const tree = new TakeoverTree(wanted, first, strangers.self);
  const screens = [...sessions].filter(([pid]) => first.has(pid))
    .map(([pid, name]) => ({ name, pid, spared: tree.spares(pid) }));
  return { tree, first, screens };
}

function keptBy({ supervisord, pm2 }: LegacyTakeover): [tools.Keeper, string][] {
  return [
    ...supervisord.map((program): [tools.Keeper, string] => [tools.SUPERVISORD, program]),
    ...pm2.map((program): [tools.Keeper, string] => [tools.PM2, program]),
  ];
}

function shown({ who, name, depth }: Chosen): LegacyProcess {
  const { pid, ppid, uid = null } = who;
  return { name, pid, ppid, depth, uid, command: commandOf(who) };
}

function commandOf({ argv }: Stranger): string {
  const line = argv.join(" ");
  return line.length > SHOWN ? `${line.slice(0, SHOWN - 1)}…` : line;
}

function stillThere(survivors: Chosen[], gone: Chosen[], denied: Map<number, string>): Failure {
  const names = survivors.map(({ who, name }) => {
    const refused = denied.get(who.pid) === who.start;
    const why = refused ? `, of uid ${who.uid}, which this user may not signal` : "";
    return `${name} (pid ${who.pid}${why})`;
  });
  return new Failure(`the earlier setup still runs: ${names.join(", ")}`, {
    fix: denied.size > 0
      ? "run it as root, or make the matcher name only your own processes"
      : "look what starts them again, or what they wait for",
    detail: { survivors: survivors.map(shown), stopped: gone.map(shown) },
  });
}
