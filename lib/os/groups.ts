/**
 * Process groups: who is in them, signalling them, and knowing when they are gone.
 *
 * | leader's group | becomes so by                                                | signals      |
 * | -------------- | ------------------------------------------------------------ | ------------ |
 * | known          | track (our child), or the first question about it            | reach it     |
 * | condemned      | SIGKILL                                                      | repeated to whoever still appears |
 * | gone           | two scans in a row, one begun after the other ended, without | reach nobody |
 * |                | a live member, the leader itself having ended                |              |
 *
 * Why two: while /proc is being read a member may fork and end, and its child, numbered after the list
 * was taken, is missed. Once gone, the number is forgotten: whoever carries it later is a stranger.
 *
 * Waiting costs one look at one living member (its *witness*) for each group and tick; the whole table
 * is scanned only when a witness has ended. Ticks come 10 ms apart at first and 100 ms in the end,
 * sooner when a child of ours exits, and only while somebody waits.
 *
 * Invariants: nobody is signalled who was not seen to belong to the group and whose number does not
 * still mean the same process at that moment; never ourselves, never our own group; groupGone resolves
 * only for a group that is gone.
 */

import { Failure } from "../core/failure.ts";
import { abortable, type Clock, type Timer } from "../core/clock.ts";
import { Kinship, type Leader } from "./kinship.ts";
import { environOf, isAlive, onMainThread, readRow, readRows, type Rows } from "./proc.ts";
import type { ExitStatus, PidIdentity, ProcRow } from "./system.ts";
import { ProcessTable, type Scan } from "./table.ts";

/** Time between looks at first, milliseconds. */
const SHORTEST_INTERVAL = 10;

/** Time between looks in the end, milliseconds. */
const LONGEST_INTERVAL = 100;

/** Each interval is this much longer than the one before. */
const BACKING_OFF = 1.25;

/** Time between the two scans of a proof, milliseconds; the second only has to begin later. */
const PROOF_INTERVAL = 2;

/** Looking at what is still alive takes at most one part in this of our time … */
const LOOK_SHARE = 5;

/** … and looking at what seems to be gone one part in this. */
const PROOF_SHARE = 2;

/** Numbers of groups known to be gone that are remembered. */
const REMEMBERED = 4096;

/** Signals that ask to end: a stopped process would never hear them, so it is continued. */
const ENDING: ReadonlySet<Deno.Signal> = new Set<Deno.Signal>([
  "SIGTERM",
  "SIGINT",
  "SIGQUIT",
  "SIGHUP",
]);

/** What this file asks of the kernel; a test brings its own. */
export interface Kernel {
  readonly us: number;
  /** Every child of this process was started by us, or is an orphan that came back. */
  readonly alone: boolean;
  readRows(): Rows;
  readRow(pid: number): ProcRow | undefined;
  environ(pid: number): string[] | undefined;
  /** kill(2): negative for a group. Throws as Deno.kill. */
  kill(pid: number, signal: Deno.Signal): void;
}

interface Wait {
  promise: Promise<void>;
  resolve(): void;
  waiters: number;
  witness?: ProcRow;
}

/** All groups this daemon has to do with. */
export class Groups {
  readonly #kinship: Kinship;
  readonly #table: ProcessTable;
  readonly #waits = new Map<number, Wait>();
  /** The last scan that did not know a leader yet, by leader. */
  readonly #since = new Map<number, number>();
  /** Consecutive scans without a live member, by leader. */
  readonly #empty = new Map<number, number>();
  readonly #condemned = new Set<number>();
  /** Numbers whose group is gone, oldest first. */
  readonly #gone = new Set<number>();
  /** Leaders that ended a moment ago and whose group has not been looked at since. */
  readonly #ended = new Set<number>();
  #timer: Timer | undefined;
  #interval = SHORTEST_INTERVAL;
  #lastScan = { cost: 0, ended: -Infinity };

  constructor(
    private readonly clock: Clock,
    private readonly bootId: string,
    private readonly kernel: Kernel,
  ) {
    this.#kinship = new Kinship(kernel.us, kernel.alone, kernel.environ);
    this.#table = new ProcessTable(clock, (scan) => this.#observe(scan), kernel.readRows);
  }

  /** A child that was just started leads a group from now on. */
  track(child: Leader, exited: Promise<ExitStatus>): void {
    const leader = { ...child, child: true };
    this.#gone.delete(leader.pid);
    this.#empty.delete(leader.pid);
    this.#condemned.delete(leader.pid);
    this.#know(leader);
    exited.then(() => {
      this.#table.invalidate();
      if (this.#kinship.get(leader.pid) === leader) this.#ended.add(leader.pid);
      this.#hurry();
    });
  }

  /** As {@linkcode System.group}. */
  members(leader: number): ProcRow[] {
    if (this.#gone.has(leader)) return [];
    if (this.#kinship.get(leader) !== undefined) {
      this.#table.current();
      return [...this.#kinship.members(leader)];
    }
    const passing = new Kinship(this.kernel.us, false, this.kernel.environ);
    passing.add({ pid: leader, start: this.#table.current().rows.get(leader)?.start });
    passing.observe(this.#table.current().rows);
    return passing.members(leader);
  }

  /** As {@linkcode Machine.descendants}. */
  descendants(): ProcRow[] {
    return this.#kinship.descendants(this.#table.current().rows);
  }

  /** As {@linkcode System.signalGroup}. */
  signal(id: PidIdentity, signal: Deno.Signal): boolean {
    if (!this.#recognise(id)) return false;
    const recent = this.#table.recent(this.#since.get(id.pid) ?? this.#table.sequence);
    // Whoever that scan shows may have forked and ended since: "nobody" is only said after a look.
    const reached = this.#signalGroup(id.pid, recent.rows, signal) ||
      this.#signalGroup(id.pid, this.#table.fresh().rows, signal);
    if (reached && signal === "SIGKILL") this.#condemned.add(id.pid);
    this.#hurry();
    return reached;
  }

  /** As {@linkcode System.groupGone}. */
  gone(leader: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#gone.has(leader)) return Promise.resolve();
    if (this.#kinship.get(leader) === undefined) {
      this.#know({ pid: leader, start: this.kernel.readRow(leader)?.start });
    }
    let wait = this.#waits.get(leader);
    if (wait === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wait = { promise, resolve, waiters: 0 };
      this.#waits.set(leader, wait);
    }
    wait.waiters++;
    this.#hurry();
    return abortable(wait.promise, signal).finally(() => this.#leave(leader, wait));
  }

  /** Ends waiting for ever; whoever waits is left alone. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#waits.clear();
    this.#ended.clear();
  }

  #leave(leader: number, wait: Wait): void {
    if (--wait.waiters > 0 || this.#waits.get(leader) !== wait) return;
    this.#waits.delete(leader);
    if (!this.#idle()) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Whether the identity leads a group we may signal; makes its leader known. */
  #recognise(id: PidIdentity): boolean {
    if (id.boot_id !== this.bootId || this.#gone.has(id.pid)) return false;
    const known = this.#kinship.get(id.pid);
    if (known?.child) return known.start === id.start;
    const row = this.kernel.readRow(id.pid);
    if (row !== undefined ? row.start !== id.start : id.mark === undefined) return false;
    if (known?.start === id.start && known.mark === id.mark) return true;
    this.#know({ pid: id.pid, start: id.start, mark: id.mark });
    return true;
  }

  /** Scans taken so far know nothing of this leader's members. */
  #know(leader: Leader): void {
    this.#kinship.add(leader);
    this.#since.set(leader.pid, this.#table.sequence);
    this.#table.invalidate();
  }

  #signalGroup(leader: number, rows: Rows, signal: Deno.Signal): boolean {
    const members = this.#kinship.members(leader);
    const reached = this.#signalMembers(members, rows, signal);
    const stopped = reached && members.some((row) => row.state === "T");
    if (stopped && ENDING.has(signal)) this.#signalMembers(members, rows, "SIGCONT");
    return reached;
  }

  /**
   * Whole groups at once where every process of the group is a member (fork cannot outrun that),
   * single processes otherwise. Each is looked at again right before.
   */
  #signalMembers(members: ProcRow[], rows: Rows, signal: Deno.Signal): boolean {
    const pids = new Set(members.map((row) => row.pid));
    // Our own group is among the shared ones, for we are nobody's member. -0 and -1 mean "all".
    const shared = new Set<number>([0, 1]);
    for (const row of rows.values()) {
      if (isAlive(row) && !pids.has(row.pid)) shared.add(row.pgrp);
    }
    const done = new Set<number>();
    let reached = false;
    for (const row of members) {
      if (done.has(row.pgrp)) continue;
      const now = this.kernel.readRow(row.pid);
      if (now?.start !== row.start || !isAlive(now)) continue;
      const whole = !shared.has(now.pgrp) && now.pgrp === row.pgrp;
      if (whole) done.add(row.pgrp);
      if (this.#kill(whole ? -row.pgrp : row.pid, signal)) reached = true;
    }
    this.#table.invalidate();
    return reached;
  }

  #kill(pid: number, signal: Deno.Signal): boolean {
    try {
      this.kernel.kill(pid, signal);
      return true;
    } catch (error) {
      // Not permitted: somebody is there, and stays a member, so whoever waits reports a survivor.
      return !(error instanceof Deno.errors.NotFound);
    }
  }

  /** Each scan, from whoever: knows the members, counts the empty ones, ends what is gone. */
  #observe(scan: Scan): void {
    this.#kinship.observe(scan.rows);
    for (const leader of [...this.#kinship.leaders()]) {
      if (this.#kinship.members(leader.pid).length > 0) {
        this.#empty.delete(leader.pid);
        this.#ended.delete(leader.pid);
        continue;
      }
      const times = (this.#empty.get(leader.pid) ?? 0) + 1;
      this.#empty.set(leader.pid, times);
      if (times >= 2) this.#forget(leader.pid);
    }
  }

  #forget(leader: number): void {
    if (this.#kinship.get(leader)?.child) this.#remember(leader);
    this.#kinship.remove(leader);
    this.#since.delete(leader);
    this.#empty.delete(leader);
    this.#ended.delete(leader);
    this.#condemned.delete(leader);
    this.#waits.get(leader)?.resolve();
    this.#waits.delete(leader);
  }

  /** Of our children we know for ever that they are gone; others have to prove who they are each time. */
  #remember(leader: number): void {
    this.#gone.add(leader);
    for (const oldest of this.#gone) {
      if (this.#gone.size <= REMEMBERED) break;
      this.#gone.delete(oldest);
    }
  }

  /** Something happened that may end a wait: look soon. */
  #hurry(): void {
    if (this.#idle()) return;
    this.#interval = SHORTEST_INTERVAL;
    const rest = this.#lastScan.ended + this.#lastScan.cost * (PROOF_SHARE - 1) - this.clock.now();
    this.#lookIn(Math.max(0, rest));
  }

  #lookIn(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.clock.timer(ms, () => this.#look());
  }

  #idle(): boolean {
    return this.#waits.size === 0 && this.#ended.size === 0;
  }

  #look(): void {
    this.#timer = undefined;
    try {
      const unclear = [...this.#waits].filter(([, wait]) => !this.#stands(wait));
      if (unclear.length > 0 || this.#ended.size > 0) this.#scan(unclear);
    } catch (error) {
      // The table cannot be read just now (out of descriptors or memory): nothing is known, look again.
      if (!(error instanceof Failure)) throw error;
      return this.#lookIn(LONGEST_INTERVAL);
    }
    if (this.#idle()) return;
    const { cost } = this.#lastScan;
    const proving = this.#ended.size > 0 ||
      [...this.#waits.values()].some((wait) => wait.witness === undefined);
    if (proving) return this.#lookIn(Math.max(PROOF_INTERVAL, cost * (PROOF_SHARE - 1)));
    this.#lookIn(Math.max(this.#interval, cost * (LOOK_SHARE - 1)));
    this.#interval = Math.min(LONGEST_INTERVAL, this.#interval * BACKING_OFF);
  }

  #scan(unclear: [number, Wait][]): void {
    const { cost } = this.#table.fresh();
    this.#lastScan = { cost, ended: this.clock.now() };
    for (const [leader, wait] of unclear) {
      const members = this.#kinship.members(leader);
      wait.witness = members[0];
      if (members.length > 0 && this.#condemned.has(leader)) this.#killAgain(members);
    }
  }

  #killAgain(members: ProcRow[]): void {
    this.#signalMembers(members, this.#table.current().rows, "SIGKILL");
  }

  /** Whether the member seen last is still alive, which says that the group is. */
  #stands(wait: Wait): boolean {
    if (wait.witness === undefined) return false;
    const now = this.kernel.readRow(wait.witness.pid);
    return now !== undefined && now.start === wait.witness.start && isAlive(now);
  }
}

/** The kernel of this machine. */
export function realKernel(us: number): Kernel {
  return { us, alone: onMainThread(), readRows, readRow, environ: environOf, kill: Deno.kill };
}
