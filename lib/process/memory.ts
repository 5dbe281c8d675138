/**
 * The memory watch: one ticker for all programs, and what a sample means for one of them.
 *
 * Programs with the same interval are looked at in the same turn (their due times are multiples of
 * the interval), so that one scan of the process table serves them all.
 *
 * Invariants: a timer exists only while somebody is watched; a subject is never sampled after it was
 * removed. `judge` is pure; a warning is given once until the sum is below the mark again.
 */

import type { Timer } from "../core/clock.ts";
import type { ProcRow, System } from "../os/system.ts";

/** Somebody whose memory is watched. */
export interface Watched {
  /** Leader of its group. */
  readonly pid: number;
  /** Milliseconds between samples. */
  readonly interval: number;
  /** Takes one sample: the living members of the group. Must not throw. */
  sampled(members: ProcRow[]): void;
}

/** The shared ticker. */
export class MemoryWatch {
  readonly #system: System;
  /** With the clock milliseconds of the next sample. */
  readonly #due = new Map<Watched, number>();
  #timer: Timer | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  /** How many are watched. */
  get size(): number {
    return this.#due.size;
  }

  /** Watches from now on; the returned function ends it. */
  watch(subject: Watched): () => void {
    this.#due.set(subject, this.#next(subject));
    this.#arm();
    return () => {
      if (this.#due.delete(subject)) this.#arm();
    };
  }

  #next({ interval }: Watched): number {
    return (Math.floor(this.#system.clock.now() / interval) + 1) * interval;
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#due.size === 0) return;
    const { clock } = this.#system;
    const first = Math.min(...this.#due.values());
    this.#timer = clock.timer(Math.max(0, first - clock.now()), () => this.#tick());
  }

  #tick(): void {
    const now = this.#system.clock.now();
    for (const [subject, due] of [...this.#due]) {
      // A subject may have been removed by what another one's sample led to.
      if (due > now || !this.#due.has(subject)) continue;
      this.#due.set(subject, this.#next(subject));
      subject.sampled(this.#system.group(subject.pid).members);
    }
    this.#arm();
  }
}

/** What a sample means. */
export type MemoryVerdict = "fine" | "warn" | "limit";

/** Sum of the resident memory of a group; pages that members share count in each. */
export function residentBytes(members: ProcRow[]): number {
  return members.reduce((sum, member) => sum + member.rss_bytes, 0);
}

/** Compares a sum with the marks (`warn` 0: none). */
export function judge(bytes: number, marks: { limit: number; warn: number }): MemoryVerdict {
  if (bytes > marks.limit) return "limit";
  return marks.warn > 0 && bytes > marks.warn ? "warn" : "fine";
}
