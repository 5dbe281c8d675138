/**
 * How fast workers are started: a little apart, and slower and slower while starts fail.
 *
 * | state   | entered by                              | starts                                  |
 * | ------- | --------------------------------------- | --------------------------------------- |
 * | steady  | a worker that was proven                | as many as are wanted, side by side     |
 * | pausing | a failed start, a worker that died      | none until `until`                      |
 * |         | before it had done anything             |                                         |
 * | trying  | the end of the pause                    | one at a time                           |
 *
 * Invariants: it only decides and remembers, and never gives up; workers that were started together
 * and fail together count as one failure.
 */

import { freshHistory, nextWait, type WaitPolicy } from "../core/backoff.ts";

/** At once, after a quarter of a second, and so on up to half a minute. */
const POLICY: WaitPolicy = { delay: 125, backoff_factor: 2, max_delay: 30_000 };
/** Time between two spawns, milliseconds: each blocks the daemon for as long as a fork takes. */
const APART = 2;

/** See the file's comment. Times are clock milliseconds. */
export class Pace {
  /** No start before. */
  until = 0;
  /** What went wrong last; undefined: nothing since workers work. */
  trouble: string | undefined;
  #failing = false;
  #history = freshHistory();
  #countedAt = -Infinity;
  #nextSpawn = 0;

  /** One start at a time. */
  get trying(): boolean {
    return this.#failing;
  }

  /** A worker started at `startedAt` failed without having done anything. */
  failed(startedAt: number, trouble: string, now: number): void {
    this.#failing = true;
    this.trouble = trouble;
    if (startedAt < this.#countedAt) return;
    this.#countedAt = now;
    const first = this.#history.streak === 0;
    const wait = nextWait(POLICY, this.#history);
    if (!first) this.until = now + wait;
  }

  /** A worker was proven. */
  proved(): void {
    this.#failing = false;
  }

  /** A worker started at `startedAt` has answered: what failed before it is mended. */
  served(startedAt: number): void {
    if (this.trouble !== undefined && startedAt >= this.#countedAt) this.forgive();
  }

  /** Earlier failures are forgotten. */
  forgive(): void {
    this.#failing = false;
    this.#history = freshHistory();
    this.trouble = undefined;
    this.until = 0;
  }

  /** When the next spawn may take place. */
  turn(now: number): number {
    const at = Math.max(now, this.#nextSpawn);
    this.#nextSpawn = at + APART;
    return at;
  }
}
