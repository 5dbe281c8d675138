/**
 * Our children and the orphans that come back to us: who ended, and how.
 *
 * Children are started by spawn.ts and reaped here, each by its own number; the runtime never waits
 * for them, so it can neither steal a status nor stumble over a real-time signal. (Those of
 * spawn_piped.ts are the runtime's to reap: see `foreign`.) SIGCHLD wakes us at once; a slow tick
 * repeats the look, because a lost wake-up must not lose a death for ever, and keeps the event loop
 * alive while there are children.
 *
 * As a child subreaper (adoptOrphans) we become the parent of every descendant whose parent ended.
 * Their zombies are reaped too, but never those of others in this very process: a child the runtime
 * started (Deno.Command) shares our session or is announced by `foreign`.
 *
 * Invariants: every own child settles exactly once, with its true status; no pid that we did not start
 * or adopt is ever waited for; no zombie of ours outlives the next SIGCHLD.
 */

import { Failure } from "../core/failure.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { realClock } from "./clock.ts";
import { errno, libc } from "./ffi.ts";
import { onMainThread, readRow } from "./proc.ts";
import { errnoReason } from "./reason.ts";
import { signalName } from "./signals.ts";
import type { ExitStatus, ProcRow } from "./system.ts";

/** How often the look is repeated without a wake-up, milliseconds. */
const SAFETY_TICK = 5_000;

/** The second look after a listener was set, and how much later each next one comes. */
const SECOND_LOOK = 20;
const LATER_LOOKS = 4;

const PR_SET_CHILD_SUBREAPER = 36;
const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x01000000;
const ECHILD = 10;

/** Offset of si_pid in siginfo_t, 64-bit Linux. */
const SI_PID = 16;
const SIGINFO_SIZE = 128;

/** The children of this process; there is one table, as the kernel has one. */
export class Children {
  readonly #own = new Map<number, (status: ExitStatus) => void>();
  readonly #foreign = new Set<number>();
  #adopting = false;
  #alone: boolean | undefined;
  #listening = false;
  #tick: Timer | undefined;
  readonly #onSigchld = () => this.reap();

  constructor(private readonly clock: Clock = realClock) {}

  /** A child that was just started; resolves with how it ended. Call in the turn of the spawn. */
  add(pid: number): Promise<ExitStatus> {
    const { promise, resolve } = Promise.withResolvers<ExitStatus>();
    this.#own.set(pid, resolve);
    this.#listen();
    return promise;
  }

  /** Announces a child that the runtime waits for itself. Hand its number back with `done`. */
  foreign(pid: number): { done(): void } {
    this.#foreign.add(pid);
    return { done: () => this.#foreign.delete(pid) };
  }

  /** True for a running child of ours. */
  has(pid: number): boolean {
    return this.#own.has(pid);
  }

  /** Makes this process the parent of all its orphaned descendants. @throws Failure */
  adoptOrphans(): void {
    if (libc().prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) !== 0) {
      throw new Failure(
        `cannot become the parent of orphaned descendants: ${errnoReason(errno())}`,
      );
    }
    this.#adopting = true;
    this.#listen();
  }

  /** Stops adopting; orphans go to init again. Own children stay watched. */
  disown(): void {
    libc().prctl(PR_SET_CHILD_SUBREAPER, 0n, 0n, 0n, 0n);
    this.#adopting = false;
    this.#rest();
  }

  /** Looks who ended: settles our children, buries adopted orphans. */
  reap(): void {
    for (const [pid, settle] of this.#own) {
      const status = waitFor(pid);
      if (status === undefined) continue;
      this.#own.delete(pid);
      settle(status);
    }
    if (this.#adopting) this.#reapAdopted();
    this.#rest();
  }

  /**
   * The system shows zombies in no order we choose; the first that is not ours to reap ends the look,
   * for it hides the rest. The runtime removes it in a moment and SIGCHLD or the tick looks again.
   */
  #reapAdopted(): void {
    const info = new Uint8Array(SIGINFO_SIZE);
    const view = new DataView(info.buffer);
    while (libc().waitid(P_ALL, 0, info, WNOHANG | WEXITED | WNOWAIT) === 0) {
      const pid = view.getInt32(SI_PID, true);
      if (pid === 0) return;
      const settle = this.#own.get(pid);
      if (settle === undefined && !this.#adopted(pid)) return;
      const status = waitFor(pid);
      if (status === undefined) return;
      if (settle === undefined) continue;
      this.#own.delete(pid);
      settle(status);
    }
  }

  #adopted(pid: number): boolean {
    if (this.#foreign.has(pid)) return false;
    const row = rowIfReadable(pid);
    if (row === undefined || row.session === rowIfReadable(Deno.pid)?.session) return false;
    // A session leader may be a child that a neighbour on another thread started.
    return row.session !== pid || (this.#alone ??= onMainThread());
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    Deno.addSignalListener("SIGCHLD", this.#onSigchld);
    // Whoever ended before there was a listener sent its signal to nobody; and the runtime's first
    // listener hears nothing until its thread is up.
    this.#arm(0);
  }

  #arm(ms: number): void {
    this.#tick = this.clock.timer(ms, () => {
      this.#arm(Math.min(SAFETY_TICK, Math.max(SECOND_LOOK, ms * LATER_LOOKS)));
      this.reap();
    });
  }

  /** Without children and orphans there is nothing to listen for, and the event loop may end. */
  #rest(): void {
    if (!this.#listening || this.#adopting || this.#own.size > 0) return;
    this.#listening = false;
    Deno.removeSignalListener("SIGCHLD", this.#onSigchld);
    this.#tick?.cancel();
  }
}

/** A zombie that cannot be looked at just now waits for the next look. */
function rowIfReadable(pid: number): ProcRow | undefined {
  try {
    return readRow(pid);
  } catch {
    return undefined;
  }
}

/** The children of this process. */
export const children = new Children();

/** Reaps one pid if it has ended. A status somebody else took is unknown, but an end all the same. */
function waitFor(pid: number): ExitStatus | undefined {
  const status = new Int32Array(1);
  const got = libc().waitpid(pid, status, WNOHANG);
  if (got === pid) return decodeStatus(status[0]);
  return got < 0 && errno() === ECHILD ? { code: null, signal: null } : undefined;
}

/** The status word of wait(2). */
export function decodeStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  if (signal === 0) return { code: (status >> 8) & 0xff, signal: null };
  return { code: null, signal: signalName(signal) };
}
