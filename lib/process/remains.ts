/**
 * What SIGKILL did not end (a process that waits for a dead disk or network mount cannot be killed).
 *
 * Invariant: nothing is started beside the remains of the last run; they are forgotten in the turn
 * in which they are known to be gone.
 */

import { Failure } from "../core/failure.ts";
import type { PidIdentity, System } from "../os/system.ts";

/** The remains of one process, usually none. */
export class Remains {
  readonly #system: System;
  #id: PidIdentity | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  /** Leader of the group they belong to. */
  get id(): PidIdentity | undefined {
    return this.#id;
  }

  /** Who is still there. */
  get pids(): number[] {
    if (this.#id === undefined) return [];
    return this.#system.group(this.#id.pid).members.map((member) => member.pid);
  }

  /** Remembers a group until it is gone (then calls `gone`) or the signal is aborted. */
  keep(id: PidIdentity, gone: () => void, signal: AbortSignal): void {
    this.#id = id;
    this.#system.groupGone(id.pid, signal).then(() => {
      if (this.#id === id) this.#id = undefined;
      gone();
    }, () => {
      // Aborted: the daemon ends, and the remains stay what they are.
    });
  }

  /** @throws Failure while anybody is still there. */
  refuse(): void {
    const pids = this.pids;
    if (pids.length === 0) return;
    throw new Failure(`its last run is still there: SIGKILL did not end pid ${pids.join(", ")}`, {
      fix: "look what these processes wait for (state D: usually a disk or a network mount)",
    });
  }
}
