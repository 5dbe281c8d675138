/**
 * Output that could not be kept: counted always, told at most once a minute for each program.
 *
 * Invariant: the sum of the `lines` of all `output_lost` events of a program is the number of its lost
 * lines once close() was called; no event storm, however many batches are refused.
 */

import type { Clock, Timer } from "../core/clock.ts";
import type { Emit } from "../telemetry/events.ts";
import type { SpoolOwner } from "./spool.ts";

/** Between two events of one program. Milliseconds. */
const INTERVAL = 60_000;

interface Untold {
  owner: SpoolOwner;
  lines: number;
  reason: string;
  /** Something happened since the last event. */
  news: boolean;
  timer: Timer;
}

/** See the file's comment. */
export class Loss {
  #lines = 0;
  readonly #untold = new Map<string, Untold>();

  constructor(private readonly clock: Clock, private readonly emit: Emit) {}

  /** Lines lost by all programs. */
  get lines(): number {
    return this.#lines;
  }

  /** Counts lost lines of a program; 0: no line is lost, but something is wrong. */
  count(owner: SpoolOwner, lines: number, reason: string): void {
    this.#lines += lines;
    const key = `${owner.instance}\n${owner.release}`;
    const known = this.#untold.get(key);
    if (known === undefined) {
      this.#tell(owner, lines, reason);
      const timer = this.clock.timer(INTERVAL, () => this.#due(key));
      this.#untold.set(key, { owner, lines: 0, reason, news: false, timer });
      return;
    }
    known.lines += lines;
    known.reason = reason;
    known.news = true;
  }

  /** Tells what is not yet told. */
  close(): void {
    for (const { owner, lines, reason, news, timer } of this.#untold.values()) {
      timer.cancel();
      if (news) this.#tell(owner, lines, reason);
    }
    this.#untold.clear();
  }

  #due(key: string): void {
    const { owner, lines, reason, news } = this.#untold.get(key)!;
    this.#untold.delete(key);
    if (!news) return;
    this.#tell(owner, lines, reason);
    const timer = this.clock.timer(INTERVAL, () => this.#due(key));
    this.#untold.set(key, { owner, lines: 0, reason, news: false, timer });
  }

  #tell({ instance, release }: SpoolOwner, lines: number, reason: string): void {
    this.emit("output_lost", {
      process: instance,
      ...(release === null ? {} : { release }),
      lines,
      reason,
    });
  }
}
