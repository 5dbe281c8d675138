/**
 * An operating system in memory: programs that do what a test tells them, on a clock of the test.
 *
 * Invariant: as real as its callers can tell: an exit is seen a turn later, never inside the call
 * that caused it; a group lives as long as any member; a pid is never used twice.
 */

import type { Clock } from "../../lib/core/clock.ts";
import type {
  Child,
  ExitStatus,
  Group,
  Identity,
  PidIdentity,
  ProcRow,
  SpawnSpec,
  System,
} from "../../lib/os/system.ts";

/** A program of the test. */
export class FakeChild implements Child {
  readonly start: string;
  readonly exited: Promise<ExitStatus>;
  /** Living members of the group, the leader among them while it lives. */
  readonly members = new Set<number>();
  /** Every signal that reached the group, but SIGCONT, which is no news to who runs. */
  readonly signals: string[] = [];
  /** Signals it does nothing about. */
  readonly deaf = new Set<string>();
  /** Members that not even SIGKILL ends. */
  readonly immortal = new Set<number>();
  /** Resident bytes of each member. */
  rss = 1_000_000;
  status: ExitStatus | undefined;
  /** Set to let the exit be seen only when it resolves. */
  reaping: Promise<void> | undefined;
  readonly #system: FakeSystem;
  readonly #exit = Promise.withResolvers<ExitStatus>();

  constructor(system: FakeSystem, readonly pid: number, readonly spec: SpawnSpec) {
    this.#system = system;
    this.start = String(pid * 10);
    this.exited = this.#exit.promise;
    this.members.add(pid);
  }

  /** The leader's command line as written, for finding it. */
  get command(): string {
    return this.spec.argv.join(" ");
  }

  get alive(): boolean {
    return this.members.size > 0;
  }

  /** The leader ends; the rest of its group lives on. */
  exit(code: number | null, signal: string | null = null): void {
    if (!this.members.has(this.pid)) return;
    const status = { code, signal };
    this.status = status;
    if (this.reaping === undefined) this.#exit.resolve(status);
    else this.reaping.then(() => this.#exit.resolve(status));
    this.end(this.pid);
  }

  /** One more member. */
  fork(): number {
    const pid = this.#system.nextPid();
    this.members.add(pid);
    return pid;
  }

  /** A member ends. */
  end(pid: number): void {
    this.members.delete(pid);
    this.#system.changed();
  }

  /** A signal to the whole group. */
  signal(name: string): void {
    if (name === "SIGCONT") return;
    this.signals.push(name);
    if (this.deaf.has(name) && name !== "SIGKILL") return;
    for (const pid of [...this.members]) {
      if (this.immortal.has(pid)) continue;
      if (pid === this.pid) this.exit(null, name);
      else this.end(pid);
    }
  }
}

/** The operating system of a test. */
export class FakeSystem implements System {
  readonly bootId = "00000000-test";
  /** Everything that was ever started, oldest first. */
  readonly children: FakeChild[] = [];
  /** What to do to each child in the turn of its spawn. */
  born: (child: FakeChild) => void = () => {};
  /** Throws to let a spawn fail. */
  mayspawn: (spec: SpawnSpec) => void = () => {};
  readonly listening = new Map<number, { address: string; pids: number[] }[]>();
  readonly rows = new Map<number, string>();
  readonly #waiting = new Set<() => void>();
  #pids = 100;

  constructor(readonly clock: Clock) {}

  /** Children that are not hooks (those know the pid of their program). */
  get programs(): FakeChild[] {
    return this.children.filter((child) => child.spec.env.SUPERVISOR_PID === undefined);
  }

  get hooks(): FakeChild[] {
    return this.children.filter((child) => child.spec.env.SUPERVISOR_PID !== undefined);
  }

  /** The newest program. */
  get last(): FakeChild {
    return this.programs.at(-1)!;
  }

  nextPid(): number {
    return ++this.#pids;
  }

  changed(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Workers are tested with real programs. */
  spawnPiped(): never {
    throw new Error("the fake system has no pipes");
  }

  spawn(spec: SpawnSpec): FakeChild {
    this.mayspawn(spec);
    const child = new FakeChild(this, this.nextPid(), spec);
    this.children.push(child);
    this.born(child);
    return child;
  }

  signalGroup(leader: PidIdentity, signal: Deno.Signal): boolean {
    const child = this.#child(leader.pid);
    if (child === undefined || child.start !== leader.start || !child.alive) return false;
    child.signal(signal);
    return true;
  }

  group(leader: number): Group {
    const child = this.#child(leader);
    return { members: [...child?.members ?? []].map((pid) => this.#rowOf(child!, pid)) };
  }

  groupGone(leader: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (settle: () => void) => {
        this.#waiting.delete(look);
        signal?.removeEventListener("abort", give);
        settle();
      };
      const give = () => done(() => reject(signal!.reason));
      const look = () => {
        if (!this.#child(leader)?.alive) done(resolve);
      };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", give);
      this.#waiting.add(look);
      look();
    });
  }

  alive(id: PidIdentity): boolean {
    return this.identify(id.pid)?.start === id.start;
  }

  identify(pid: number): PidIdentity | undefined {
    const child = this.#child(pid);
    if (!child?.members.has(pid)) return undefined;
    return { pid, start: child.start, boot_id: this.bootId };
  }

  row(pid: number): ProcRow | undefined {
    const owner = this.children.find((child) => child.members.has(pid));
    if (owner !== undefined) return this.#rowOf(owner, pid);
    const command = this.rows.get(pid);
    return command === undefined ? undefined : rowOf(pid, pid, command, 0);
  }

  listeners(port: number): { address: string; pids: number[] }[] {
    return this.listening.get(port) ?? [];
  }

  user(name: string): Identity {
    return { user: name, uid: 1000, gid: 1000, home: `/home/${name}` };
  }

  /** Groups that somebody waits for. */
  get waiting(): number {
    return this.#waiting.size;
  }

  #child(pid: number): FakeChild | undefined {
    return this.children.find((child) => child.pid === pid);
  }

  #rowOf(child: FakeChild, pid: number): ProcRow {
    return rowOf(pid, child.pid, child.command, child.rss);
  }
}

function rowOf(pid: number, leader: number, command: string, rss_bytes: number): ProcRow {
  return {
    pid,
    ppid: pid === leader ? 1 : leader,
    pgrp: leader,
    session: leader,
    state: "S",
    start: String(pid * 10),
    command,
    rss_bytes,
    cpu_ticks: 0,
  };
}
