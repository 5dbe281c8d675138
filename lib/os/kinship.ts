/**
 * Who belongs to whom: from scans of the process table to the leader each process descends from.
 *
 * A process belongs to a leader when, in this order,
 *  1. it is the leader (number and start time),
 *  2. it is in the leader's session or process group,
 *  3. an earlier scan saw that it belongs (a daemon that left its parents keeps its number and start),
 *  4. its parent belongs,
 *  5. it is an orphan that came back to us before any scan saw its parents, and its environment
 *     contains a leader's (of several the largest, if there is one such).
 * Whatever fits none is nobody's here; it still descends from us and shows in `descendants`.
 *
 * Invariants: a leader's number that another process carries now proves nothing (the kernel does not
 * give a number away while a session or group of that number has members, so a stranger with it means
 * that the group is gone); we ourselves belong to nobody; what is remembered is forgotten with the
 * process it is about.
 */

import { environOf, isAlive, type Rows } from "./proc.ts";
import type { ProcRow } from "./system.ts";

/** The head of a group, alive or not. */
export interface Leader {
  readonly pid: number;
  /** Undefined: a number only, whose process had ended before we first looked. */
  readonly start?: string;
  /** `NAME=value` pairs it was started with, for rule 5; see `heritage`. */
  readonly environment?: string[];
  /** Started by us, so that its number is vouched for until its group is gone. */
  readonly child?: boolean;
  /** Pair that members must carry when the leader itself is gone, in rule 2. */
  readonly mark?: string;
}

/** What was seen of one process earlier. */
interface Seen {
  start: string;
  leader: number | undefined;
}

/** Looks into environments; a test brings its own. */
export type ReadEnviron = (pid: number) => string[] | undefined;

/** What shells and script runners set anew for whatever they start. */
const CHANGED_BY_SHELLS = new Set(["_", "OLDPWD", "PATH", "PWD", "SHLVL"]);

/** What of the environment given to a leader its descendants still carry, as `NAME=value` pairs. */
export function heritage(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env)
    .filter(([name]) => !CHANGED_BY_SHELLS.has(name))
    .map(([name, value]) => `${name}=${value}`);
}

/** Remembers ancestry from scan to scan. */
export class Kinship {
  readonly #leaders = new Map<number, Leader>();
  readonly #seen = new Map<number, Seen>();
  #members = new Map<number, ProcRow[]>();

  constructor(
    private readonly us: number,
    /** Every child we did not start is an orphan that came back; without it rule 5 is not applied. */
    private readonly alone: boolean,
    private readonly environ: ReadEnviron = environOf,
  ) {}

  /** From now on scans know this leader. */
  add(leader: Leader): void {
    this.#leaders.set(leader.pid, leader);
  }

  /** Forgets a leader and what descended from it. */
  remove(pid: number): void {
    this.#leaders.delete(pid);
    this.#members.delete(pid);
    for (const [member, seen] of this.#seen) {
      if (seen.leader === pid) this.#seen.delete(member);
    }
  }

  get(pid: number): Leader | undefined {
    return this.#leaders.get(pid);
  }

  leaders(): IterableIterator<Leader> {
    return this.#leaders.values();
  }

  /** Live members of a known leader's group, as the last observed scan shows them. */
  members(leader: number): ProcRow[] {
    return this.#members.get(leader) ?? [];
  }

  /** Takes a scan in: finds every leader's members, remembers those that left session and group. */
  observe(rows: Rows): void {
    for (const [pid, seen] of this.#seen) {
      if (rows.get(pid)?.start !== seen.start) this.#seen.delete(pid);
    }
    this.#members = new Map();
    const found = new Map<number, number | undefined>();
    for (const row of rows.values()) {
      const leader = this.#leaderOf(row, rows, found);
      if (leader === undefined || !isAlive(row)) continue;
      if (row.session !== leader && row.pgrp !== leader) {
        this.#seen.set(row.pid, { start: row.start, leader });
      }
      const members = this.#members.get(leader);
      if (members === undefined) this.#members.set(leader, [row]);
      else members.push(row);
    }
  }

  /** Live processes below us, those that were ours when last seen included. */
  descendants(rows: Rows): ProcRow[] {
    const below = new Map<number, boolean>([[this.us, true]]);
    const isBelow = (row: ProcRow): boolean => {
      const known = below.get(row.pid);
      if (known !== undefined) return known;
      below.set(row.pid, false); // ends the walk should parents ever form a circle
      const parent = rows.get(row.ppid);
      const is = this.#seen.get(row.pid)?.leader !== undefined ||
        (parent !== undefined && isBelow(parent));
      below.set(row.pid, is);
      return is;
    };
    return [...rows.values()].filter((row) => row.pid !== this.us && isAlive(row) && isBelow(row));
  }

  #leaderOf(
    row: ProcRow,
    rows: Rows,
    found: Map<number, number | undefined>,
  ): number | undefined {
    if (found.has(row.pid)) return found.get(row.pid);
    found.set(row.pid, undefined); // ends the walk should parents ever form a circle
    const leader = row.pid === this.us ? undefined : this.#decide(row, rows, found);
    found.set(row.pid, leader);
    return leader;
  }

  #decide(
    row: ProcRow,
    rows: Rows,
    found: Map<number, number | undefined>,
  ): number | undefined {
    for (const number of [row.pid, row.session, row.pgrp]) {
      if (this.#leads(number, row, rows)) return number;
    }
    const seen = this.#seen.get(row.pid);
    if (seen?.leader !== undefined) return seen.leader;
    if (row.ppid === this.us) {
      // What shares our own session was not started by spawn.ts and belongs to no leader.
      const orphan = this.alone && seen === undefined && row.session !== rows.get(this.us)?.session;
      return orphan ? this.#claim(row) : undefined;
    }
    const parent = rows.get(row.ppid);
    return parent === undefined ? undefined : this.#leaderOf(parent, rows, found);
  }

  /** Whether the number is that of a leader we know and still means it. */
  #leads(number: number, row: ProcRow, rows: Rows): boolean {
    const leader = this.#leaders.get(number);
    if (leader === undefined) return false;
    const holder = rows.get(number);
    if (holder !== undefined) return leader.start === holder.start;
    return leader.mark === undefined || this.environ(row.pid)?.includes(leader.mark) === true;
  }

  /** Rule 5, decided once for each orphan. */
  #claim(row: ProcRow): number | undefined {
    const leaders = [...this.#leaders.values()].filter((leader) => leader.environment?.length);
    if (leaders.length === 0 || !isAlive(row)) return undefined;
    const environment = this.environ(row.pid);
    // Not ours to read, or in the middle of exec, when it shows empty: another scan may tell.
    if (environment === undefined || environment.length === 0) return undefined;
    const own = new Set(environment);
    let best: Leader | undefined;
    let size = 0;
    for (const leader of leaders) {
      const given = leader.environment!;
      if (given.length < size || !given.every((pair) => own.has(pair))) continue;
      best = given.length > size ? leader : undefined; // two as large as each other: undecided
      size = given.length;
    }
    this.#seen.set(row.pid, { start: row.start, leader: best?.pid });
    return best?.pid;
  }
}
