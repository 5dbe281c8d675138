/**
 * The door to the operating system, as an interface: everything above asks these and nothing else,
 * so that tests bring another system. `lib/os/real.ts` is the one that is real.
 *
 * Invariant: reports by return value and Failure, never by event; no call here waits on a poll that
 * could be an event.
 */

import type { Clock } from "../core/clock.ts";

/** How a process ended. Exactly one of `code` and `signal` is set, unless the system did not tell. */
export interface ExitStatus {
  code: number | null;
  /** Name, e.g. `SIGKILL`; `SIG35` for real-time signals. */
  signal: string | null;
}

/** Who a child runs as. */
export interface Identity {
  user: string;
  uid: number;
  gid: number;
  home: string;
}

/** What to start. */
export interface SpawnSpec {
  /** Program and arguments; no shell is added. */
  argv: string[];
  cwd: string;
  /** The whole environment; nothing is inherited. */
  env: Record<string, string>;
  /** Undefined: as the daemon. Needs root. */
  identity?: Identity;
  /**
   * Files stdout and stderr go to, opened O_APPEND with the daemon's rights before the identity is
   * taken on; undefined: /dev/null.
   */
  output?: { stdout: string; stderr: string };
}

/** A started program: leader of its own session and process group. */
export interface Child {
  readonly pid: number;
  /** Start time of the pid in clock ticks since boot, which with boot id identifies it for ever. */
  readonly start: string;
  /** Resolves once the leader ended; never rejects. */
  readonly exited: Promise<ExitStatus>;
}

/** A started program that we talk with over its stdin and stdout. */
export interface PipedChild extends Child {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
}

/** The unit of `cpu_ticks`, milliseconds (USER_HZ is 100 wherever Linux has it). */
export const CPU_TICK = 10;

/** One row of a process table scan. */
export interface ProcRow {
  pid: number;
  ppid: number;
  pgrp: number;
  session: number;
  state: string;
  start: string;
  command: string;
  rss_bytes: number;
  /** User plus system time in clock ticks. */
  cpu_ticks: number;
}

/** The processes that belong to one leader. */
export interface Group {
  /** Alive (not zombie) members: same session or group as the leader, or known descendants. */
  members: ProcRow[];
}

/** What a pid is verified by before it is ever signalled. */
export interface PidIdentity {
  pid: number;
  start: string;
  boot_id: string;
  /**
   * `NAME=value` that the environment of its group carries: the evidence by which members are still
   * recognised when the leader itself is gone and was not a child of this daemon. Without it such
   * members are never signalled.
   */
  mark?: string;
}

/** The operating system. */
export interface System {
  readonly clock: Clock;
  /** This boot. */
  readonly bootId: string;

  /**
   * Starts a program in its own session.
   * @throws Failure naming program and working directory (not found, not executable, no such cwd,
   *   may not change user).
   */
  spawn(spec: SpawnSpec): Child;

  /**
   * As spawn(), but stdin and stdout are pipes to us; of `output` only `stderr` is used.
   * Whoever starts it ends both streams.
   * @throws Failure as spawn()
   */
  spawnPiped(spec: SpawnSpec): PipedChild;

  /** Signals every member of the leader's group and session. False: nobody was there. */
  signalGroup(leader: PidIdentity, signal: Deno.Signal): boolean;

  /**
   * Members of the leader's group that are alive now (one shared scan of the process table serves
   * all callers of the same moment).
   */
  group(leader: number): Group;

  /**
   * Resolves when no member of the group is alive, or at the signal's abort (rejects with its
   * reason). All groups being waited for share one scanner that runs only while somebody waits.
   */
  groupGone(leader: number, signal?: AbortSignal): Promise<void>;

  /** True when this very process (not a later one with its number) is alive. */
  alive(id: PidIdentity): boolean;

  /** Identity of a pid now, or undefined when there is none. */
  identify(pid: number): PidIdentity | undefined;

  /** The process table's row of a pid, or undefined when there is none. */
  row(pid: number): ProcRow | undefined;

  /**
   * The listening sockets of a TCP port: for each the pids that hold it open (as far as we may
   * look). Empty: nobody listens. `candidates` are looked through before all other processes.
   */
  listeners(port: number, candidates?: number[]): { address: string; pids: number[] }[];

  /** Looks a user up. @throws Failure when unknown. */
  user(name: string): Identity;
}

/** Whether a program of ours could listen on a port now. */
export type PortState = "free" | "in_use" | { refused: string };

/**
 * What the daemon asks of the operating system besides supervising: the composition root has one of
 * these, everything else gets by with {@linkcode System}.
 */
export interface Machine extends System, Disposable {
  readonly hostname: string;
  /** This very process. */
  readonly self: PidIdentity;
  /** Resident memory of this very process. */
  rss(): number;

  /**
   * Live processes that descend from us, escaped ones included (they come back to us because we adopt
   * orphans): what a final shutdown must find empty.
   */
  descendants(): ProcRow[];

  /** Signals one process if it is still that one. False: it is gone, or may not be signalled. */
  signal(id: PidIdentity, signal: Deno.Signal): boolean;

  /** Tries to bind a listener, and lets go of it at once. */
  portState(host: string, port: number): PortState;

  /** A port that was free a moment ago. @throws Failure when the host cannot be bound at all. */
  ephemeralPort(host: string): number;

  /** Looks a group up by name or number. @throws Failure when unknown. */
  groupId(name: string): number;
}
