/**
 * Judges every request of a soak.
 *
 * | failure                     | is nobody's fault exactly when                                       |
 * | --------------------------- | -------------------------------------------------------------------- |
 * | 503                         | no program had been ready for longer than `hold` at its end          |
 * | any other, but a time-out   | it was in flight between the kill of a program and its noticed end   |
 * | time-out                    | never                                                                |
 *
 * A whole answer is wrong when it came from another release than the one that was live, and the only
 * one live, from its beginning to its end.
 *
 * Invariant: all times are milliseconds of performance.now() of this process; what cannot be excused
 * counts.
 */

import type { LoadRequest } from "../../tests/kit/load.ts";

/** Stamps of the daemon are whole milliseconds of another clock. */
const BLUR = 5;

/** An end that was never told of is taken as noticed after this long. */
const UNNOTICED = 1_000;

/** How many of the unexcused are described. */
const KEPT = 10;

interface Kill {
  at: number;
  noticed?: number;
}

interface Down {
  from: number;
  to?: number;
}

/** The record of one soak. */
export class Requests {
  good = 0;
  excused = 0;
  /** Failures and wrong answers without an excuse. */
  readonly bad: string[] = [];
  #slowest = 0;
  readonly #hold: number;
  readonly #kills = new Map<number, Kill>();
  readonly #downs: Down[] = [];
  /** Failures are judged at the end, when all that excuses them is known. */
  readonly #failed: LoadRequest[] = [];
  #live: { version: string; since: number } | undefined;

  /** @param hold how long the proxy holds requests back while no program is ready */
  constructor(hold: number) {
    this.#hold = hold;
  }

  /** The slowest good request, ms. */
  get slowest(): number {
    return this.#slowest;
  }

  /** A program was killed. */
  killed(pid: number): void {
    this.#kills.set(pid, { at: performance.now() });
  }

  /** The daemon saw that a program had ended. */
  ended(pid: number, at: number): void {
    const kill = this.#kills.get(pid);
    if (kill !== undefined) kill.noticed ??= at;
  }

  /** Whether a program was killed since. */
  killedSince(time: number): boolean {
    return [...this.#kills.values()].some(({ at }) => at >= time);
  }

  /** No program of the live release is ready from now on, or (`false`) one is again. */
  down(is: boolean, at: number): void {
    const last = this.#downs.at(-1);
    if (last !== undefined && last.to === undefined) last.to = at;
    if (is) this.#downs.push({ from: at });
  }

  /** This release is live and nothing is about to change that; undefined: something is. */
  live(version: string | undefined): void {
    this.#live = version === undefined ? undefined : { version, since: performance.now() };
  }

  /** One request ended. */
  readonly take = (request: LoadRequest): void => {
    if (!request.good) return void this.#failed.push(request);
    this.good++;
    this.#slowest = Math.max(this.#slowest, request.end - request.begin);
    const live = this.#live;
    if (live !== undefined && request.begin > live.since && request.version !== live.version) {
      this.bad.push(`answered by ${request.version} while ${live.version} was live`);
    }
  };

  /** Judges the failures. */
  judge(): void {
    for (const request of this.#failed.splice(0)) {
      if (this.#isExcused(request)) this.excused++;
      else this.bad.push(this.#describe(request));
    }
    if (this.bad.length > KEPT) {
      this.bad.splice(KEPT, Infinity, `and ${this.bad.length - KEPT} more`);
    }
  }

  #isExcused({ begin, end, outcome }: LoadRequest): boolean {
    if (outcome === "timeout") return false;
    if (outcome === 503) {
      return this.#downs.some(({ from, to = Infinity }) =>
        end >= from + this.#hold - BLUR && begin <= to + BLUR
      );
    }
    return [...this.#kills.values()].some(({ at, noticed = at + UNNOTICED }) =>
      begin <= noticed + BLUR && end >= at - BLUR
    );
  }

  #describe({ begin, end, outcome }: LoadRequest): string {
    const last = [...this.#kills.values()].findLast(({ at }) => at <= end);
    const ago = last === undefined ? "never" : `${(end - last.at).toFixed(0)} ms before its end`;
    return `${outcome} after ${(end - begin).toFixed(0)} ms; last kill ${ago}`;
  }
}
