/**
 * Whom a takeover stops: from the process table to the trees below what the configuration names.
 *
 * | a process is chosen because                                                       | root |
 * | --------------------------------------------------------------------------------- | ---- |
 * | its command line contains every text of a matcher                                  | yes  |
 * | it is the SCREEN process of a session of that very name                            | yes  |
 * | its parent is chosen                                                               | no   |
 * | it was chosen before and still lives, whatever its parents are by now              | no   |
 * | it appeared since the first look, in a session or group that a chosen process led  | no   |
 *
 * Invariants: pure; this program, its ancestors and init are never chosen, whatever their command
 * lines say; a number is a process only together with its start time.
 */

import type { LegacyTakeover } from "../config/config.ts";
import type { Stranger } from "../os/strangers.ts";

/** The table at one moment. */
export type Table = ReadonlyMap<number, Stranger>;

/** A process that is to be stopped. */
export interface Chosen {
  who: Stranger;
  /** Name of what it belongs to: `legacy web`, `screen app`. */
  name: string;
  /** How far below the root of its tree it was first seen. */
  depth: number;
}

/** What roots are found by. */
export interface Wanted {
  processes: LegacyTakeover["processes"];
  /** Screen sessions by name. */
  screens: readonly string[];
  /** Sessions that `screen` itself told of, by the pid of their SCREEN process. */
  sessions: ReadonlyMap<number, string>;
}

/** Looks again and again, and remembers whom it has seen. */
export class TakeoverTree {
  readonly #wanted: Wanted;
  readonly #first: Table;
  readonly #spared: ReadonlySet<number>;
  /** By pid; the start time says whether it is still that one. */
  readonly #chosen = new Map<number, Chosen>();

  /**
   * @param first the table at the first look
   * @param self this program
   */
  constructor(wanted: Wanted, first: Table, self: number) {
    this.#wanted = wanted;
    this.#first = first;
    this.#spared = ancestorsOf(self, first);
  }

  /** Whether a process is this program or above it. */
  spares(pid: number): boolean {
    return this.#spared.has(pid);
  }

  /** Whom to stop now: parents before children. */
  look(table: Table): Chosen[] {
    const chosen = new Map<number, Chosen>();
    for (const who of table.values()) {
      if (this.spares(who.pid)) continue;
      const known = this.#known(who);
      const name = known?.name ?? this.#rootName(who) ?? this.#groupName(who, table);
      if (name !== undefined) chosen.set(who.pid, { who, name, depth: known?.depth ?? 0 });
    }
    const children = childrenIn(table);
    const found = new Map<number, Chosen>();
    const visit = (entry: Chosen) => {
      // Parents form a circle only in a table that changed while it was read.
      if (found.has(entry.who.pid)) return;
      found.set(entry.who.pid, entry);
      for (const who of children.get(entry.who.pid) ?? []) {
        if (this.spares(who.pid)) continue;
        visit({ who, name: chosen.get(who.pid)?.name ?? entry.name, depth: entry.depth + 1 });
      }
    };
    const isRoot = ({ who }: Chosen) => !chosen.has(who.ppid);
    for (const root of [...chosen.values()].filter(isRoot)) visit(root);
    for (const entry of chosen.values()) visit(entry);
    for (const entry of found.values()) this.#chosen.set(entry.who.pid, entry);
    return [...found.values()];
  }

  #known(who: Stranger): Chosen | undefined {
    const known = this.#chosen.get(who.pid);
    return known?.who.start === who.start ? known : undefined;
  }

  #rootName({ pid, argv }: Stranger): string | undefined {
    const { processes, screens, sessions } = this.#wanted;
    const session = sessions.get(pid) ?? screens.find((name) => isSession(argv, name));
    if (session !== undefined) return `screen ${session}`;
    const line = argv.join(" ");
    return processes.find(({ includes }) => includes.every((part) => line.includes(part)))?.name;
  }

  /** Nobody gets the number of a leader while its session or group has members. */
  #groupName({ pid, start, session, pgrp }: Stranger, table: Table): string | undefined {
    if (this.#first.get(pid)?.start === start) return undefined;
    for (const number of [session, pgrp]) {
      const leader = this.#chosen.get(number);
      if (leader === undefined || ![leader.who.session, leader.who.pgrp].includes(number)) continue;
      const now = table.get(number);
      if (now === undefined || now.start === leader.who.start) return leader.name;
    }
    return undefined;
  }
}

/** `SCREEN -dmS app …`: the process behind a session, by the very word of its name. */
function isSession(argv: readonly string[], name: string): boolean {
  if (argv[0] !== "SCREEN") return false;
  // Options come first; what stands behind them is the program that runs in it.
  for (let at = 1; at < argv.length && argv[at].startsWith("-"); at++) {
    if (/^-[a-zA-Z]*S$/.test(argv[at])) return argv[at + 1] === name;
    if (/^-[a-zA-Z]*[cehpsTt]$/.test(argv[at])) at++;
  }
  return false;
}

function ancestorsOf(self: number, table: Table): Set<number> {
  const spared = new Set([1]);
  // Ends at init, and should parents ever form a circle.
  for (let at: number | undefined = self; at !== undefined && !spared.has(at);) {
    spared.add(at);
    at = table.get(at)?.ppid;
  }
  return spared;
}

function childrenIn(table: Table): Map<number, Stranger[]> {
  const children = new Map<number, Stranger[]>();
  for (const who of table.values()) {
    const siblings = children.get(who.ppid);
    if (siblings === undefined) children.set(who.ppid, [who]);
    else siblings.push(who);
  }
  return children;
}
