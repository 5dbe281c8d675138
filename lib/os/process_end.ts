/**
 * Waits for the end of a process that is not our child.
 *
 * A descriptor of the process is opened first, so a number that is given to another process meanwhile
 * deceives nobody; for commands, not for the daemon (see pidfd.ts).
 *
 * Invariant: never waits longer than asked, never signals, never reaps.
 */

import { closePidfd, openPidfd, pollPidfds } from "./pidfd.ts";

/** A process whose end can be awaited. */
export class ProcessEnd implements Disposable {
  readonly #fd: number | undefined;

  /** Takes hold of the process that has this number now. */
  constructor(pid: number) {
    this.#fd = openPidfd(pid);
  }

  /**
   * Resolves with true when it has ended, with false after `ms` milliseconds, or at once with
   * undefined when it cannot be known (no such process here, an old kernel).
   */
  async within(ms: number): Promise<boolean | undefined> {
    if (this.#fd === undefined) return undefined;
    return (await pollPidfds([this.#fd], ms)).length > 0;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closePidfd(this.#fd);
  }
}
