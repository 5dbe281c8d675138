/**
 * One change at a time: deploy, rollback, stop, restart, scale, reload and restore take turns.
 *
 * Invariant: at most one piece of work runs; the waiting are served in order of arrival, and there
 * are never more than MAX_WAITING of them. After close() nothing new begins and what runs is told to
 * end.
 */

import type { Clock } from "../core/clock.ts";
import { stamp } from "../core/clock.ts";
import { Failure } from "../core/failure.ts";

/** Operations that may wait in line; an operator who queues more has a script gone wild. */
const MAX_WAITING = 16;

/** What is being done. */
export interface Doing {
  name: string;
  /** ISO 8601. */
  since: string;
}

/** The line in front of the daemon. */
export class Turn {
  #doing: Doing | undefined;
  readonly #waiting: { name: string; begin: () => void; refuse: (why: Failure) => void }[] = [];
  readonly #end = new AbortController();
  #idle = Promise.withResolvers<void>();

  /** @param after told after each piece of work, however it ended */
  constructor(readonly clock: Clock, readonly after: () => void = () => {}) {
    this.#idle.resolve();
  }

  get doing(): Doing | undefined {
    return this.#doing;
  }

  /** Names of what waits, first in line first. */
  get waiting(): string[] {
    return this.#waiting.map((entry) => entry.name);
  }

  /** Resolves when nothing runs and nothing waits. */
  get idle(): Promise<void> {
    return this.#idle.promise;
  }

  /**
   * Runs `work` when its turn comes.
   *
   * @param name for status: `deploy v2`
   * @param onWait told what it waits for, when it has to
   * @throws Failure when the line is full or the daemon ends; else what `work` throws
   */
  async run<T>(
    name: string,
    work: (signal: AbortSignal) => Promise<T>,
    onWait?: (behind: string) => void,
  ): Promise<T> {
    this.#end.signal.throwIfAborted();
    if (this.#doing !== undefined) {
      if (this.#waiting.length >= MAX_WAITING) {
        throw new Failure(`"${name}" cannot wait: ${MAX_WAITING} operations are in line already`, {
          fix: "wait until some of them are done, see `supervisor status`",
        });
      }
      onWait?.(this.#waiting.at(-1)?.name ?? this.#doing.name);
      await new Promise<void>((resolve, reject) =>
        this.#waiting.push({ name, begin: resolve, refuse: reject })
      );
    } else this.#idle = Promise.withResolvers();
    this.#doing = { name, since: stamp(this.clock.wall()) };
    try {
      // The end may have come between being called and being here.
      this.#end.signal.throwIfAborted();
      return await work(this.#end.signal);
    } finally {
      this.after();
      this.#next();
    }
  }

  /** Refuses everything from now on, the waiting too, and tells what runs to end. */
  close(why: Failure): void {
    this.#end.abort(why);
    for (const entry of this.#waiting.splice(0)) entry.refuse(why);
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#doing = undefined;
      this.#idle.resolve();
    } else next.begin();
  }
}
