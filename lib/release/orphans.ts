/**
 * Processes that a dead daemon of this application left running.
 *
 * An orphan is verified by pid, start time and boot id before anything is done to it; an entry that
 * fails the check is forgotten and never signalled. What must not run twice (singletons, services,
 * fixed ports) is stopped before its successor starts, the rest when the caller says so.
 *
 * Invariant: an orphan leaves the list only when its whole group is gone.
 */

import { within } from "../core/clock.ts";
import { Failure } from "../core/failure.ts";
import type { System } from "../os/system.ts";
import type { Emit } from "../telemetry/events.ts";
import type { PidBook, PidEntry } from "./pid_book.ts";

/** How long an orphan's group gets after SIGKILL before it is reported as staying. */
const KILL_WAIT = 5_000;

/** The orphans of one application. */
export class Orphans {
  readonly #left = new Map<number, PidEntry>();
  readonly #waiting = new Set<{ instance: string; release: string | null; run: () => void }>();
  readonly #stops = new Map<number, Promise<void>>();

  /**
   * @param entries what the dead daemon wrote
   * @param grace milliseconds between SIGTERM and SIGKILL
   */
  constructor(
    entries: readonly PidEntry[],
    readonly system: System,
    readonly book: PidBook,
    readonly emit: Emit,
    readonly grace: number,
  ) {
    const ours = leftOf(entries, system);
    if (ours.length > 0) book.putAll(ours);
    for (const entry of ours) {
      this.#left.set(entry.pid, entry);
      emit("orphan_found", {
        process: entry.instance,
        release: entry.release ?? undefined,
        pid: entry.pid,
      });
    }
  }

  /** Those still there, for status. */
  list(): { id: string; pid: number; release_id: string | null }[] {
    return [...this.#left.values()].map((entry) => ({
      id: entry.instance,
      pid: entry.pid,
      release_id: entry.release,
    }));
  }

  /** Whether something of this copy of this release is still alive. */
  has(instance: string, release: string | null): boolean {
    return [...this.#left.values()].some((entry) =>
      entry.instance === instance && entry.release === release
    );
  }

  /** Calls `run` once when nothing of that copy is left (there may be two: one was replaced). */
  whenGone(instance: string, release: string | null, run: () => void): void {
    if (!this.has(instance, release)) return run();
    this.#waiting.add({ instance, release, run });
  }

  /**
   * Stops what must be gone before a successor of process `id` may start.
   * @throws Failure when it cannot be stopped
   */
  async clearFor(id: string): Promise<void> {
    const concerned = (entry: PidEntry) =>
      entry.id === id &&
      (entry.policy === "singleton" || entry.policy === "service" || entry.fixed_port === true);
    await this.#stopAll(concerned);
    const left = [...this.#left.values()].filter(concerned).map((entry) => entry.pid);
    if (left.length === 0) return;
    throw new Failure(`"${id}" of an earlier daemon is still there: pid ${left.join(", ")}`, {
      fix: "look what these processes wait for; in state D it is a disk or a network mount",
      detail: { process: id, pids: left },
    });
  }

  /** Stops all that are left. @param grace shorter than usual for who is in a hurry, ms */
  async clear(grace = this.grace): Promise<void> {
    await this.#stopAll(() => true, grace);
  }

  async #stopAll(which: (entry: PidEntry) => boolean, grace = this.grace): Promise<void> {
    const chosen = [...this.#left.values()].filter(which);
    await Promise.all(chosen.map((entry) => {
      let stop = this.#stops.get(entry.pid);
      if (stop === undefined) {
        stop = this.#stop(entry, Math.min(grace, this.grace)).finally(() =>
          this.#stops.delete(entry.pid)
        );
        this.#stops.set(entry.pid, stop);
      }
      return stop;
    }));
  }

  async #stop(entry: PidEntry, grace: number): Promise<void> {
    const { system } = this;
    const facts = { process: entry.instance, release: entry.release ?? undefined, pid: entry.pid };
    for (const [signal, wait] of [["SIGTERM", grace], ["SIGKILL", KILL_WAIT]] as const) {
      if (!system.signalGroup(entry, signal)) break;
      const limit = new AbortController();
      const gone = system.groupGone(entry.pid, limit.signal).then(() => true, () => false);
      const result = await within(system.clock, wait, gone);
      limit.abort();
      if (result.done) break;
    }
    const survivors = system.group(entry.pid).members.map((member) => member.pid);
    if (survivors.length > 0) {
      this.emit("process_stop_failed", { ...facts, pids: survivors });
      return;
    }
    this.#left.delete(entry.pid);
    this.book.remove(entry);
    for (const waiting of [...this.#waiting]) {
      if (this.has(waiting.instance, waiting.release)) continue;
      this.#waiting.delete(waiting);
      waiting.run();
    }
    this.emit("orphan_stopped", facts);
  }
}

/** Those of a dead daemon's entries that are verified: what is still there of it. */
export function leftOf(entries: readonly PidEntry[], system: System): PidEntry[] {
  return entries.filter((entry) => isOurs(entry, system));
}

/**
 * Alive and the very process we wrote down; or its leader is gone and the number is free (the kernel
 * gives no number away that a session uses), but there is still somebody who can be told by the mark.
 */
function isOurs(entry: PidEntry, system: System): boolean {
  if (entry.boot_id !== system.bootId) return false;
  if (system.alive(entry)) return true;
  const now = system.identify(entry.pid);
  const free = now === undefined || now.start === entry.start;
  return free && entry.mark !== undefined && system.group(entry.pid).members.length > 0;
}
