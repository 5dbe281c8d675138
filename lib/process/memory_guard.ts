/**
 * What the memory watch leads to for one run: a warning, or its end.
 *
 * Invariant: the warning is given once until the sum is below the mark again; after the limit was
 * told, nothing more is told of this run.
 */

import { formatSize } from "../core/size.ts";
import type { Emit } from "../telemetry/events.ts";
import { judge, type MemoryWatch, residentBytes } from "./memory.ts";
import type { LiveSettings } from "./types.ts";

/** Whom to guard. */
export interface Guarded {
  readonly pid: number;
  readonly name: { process: string; release?: string };
  readonly emit: Emit;
  /** Called once with the reason, for people. */
  exceeded(reason: string): void;
}

/** The guard of one run; does nothing while `settings.memory` is undefined. */
export class MemoryGuard {
  readonly #watch: MemoryWatch;
  readonly #guarded: Guarded;
  #warned = false;
  #unwatch = () => {};
  #ended = false;

  constructor(watch: MemoryWatch, guarded: Guarded) {
    this.#watch = watch;
    this.#guarded = guarded;
  }

  /** Begins, or goes on with other marks; not after its end. */
  apply({ memory: marks }: LiveSettings): void {
    this.#unwatch();
    if (marks === undefined || this.#ended) return;
    const { pid, name, emit, exceeded } = this.#guarded;
    this.#unwatch = this.#watch.watch({
      pid,
      interval: marks.check_interval,
      sampled: (members) => {
        const rss_bytes = residentBytes(members);
        const verdict = judge(rss_bytes, marks);
        if (verdict === "limit") {
          this.end();
          emit("memory_limit_exceeded", { ...name, rss_bytes, limit_bytes: marks.limit });
          const [used, limit] = [formatSize(rss_bytes), formatSize(marks.limit)];
          return exceeded(`used ${used} of memory, more than its limit of ${limit}`);
        }
        if (verdict === "warn" && !this.#warned) {
          emit("memory_warning", { ...name, rss_bytes, warn_bytes: marks.warn });
        }
        this.#warned = verdict === "warn";
      },
    });
  }

  /** No more samples, for good. */
  end(): void {
    this.#unwatch();
    this.#ended = true;
  }
}
