/**
 * How a settlement that a broker does not take is tried again: by one backoff, for ever.
 *
 * Invariant: of each settlement the first trouble is told, and no more of them.
 */

import { freshHistory, nextWait, type WaitPolicy } from "../../lib/core/backoff.ts";
import { type Clock, sleep } from "../../lib/core/clock.ts";
import { messageOf } from "../../lib/core/failure.ts";
import type { Emit } from "../../lib/telemetry/events.ts";

const AGAIN: WaitPolicy = { delay: 250, backoff_factor: 2, max_delay: 10_000 };

/** Who settles. */
export interface Settler {
  readonly pipeline: string;
  readonly driver: string;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Aborted when nothing is settled any more. */
  readonly over: AbortSignal;
}

/** The tries of one settlement, or of several that are sent together. */
export class SettleTries {
  readonly #settler: Settler;
  readonly #history = freshHistory();
  #isTold = false;

  constructor(settler: Settler) {
    this.#settler = settler;
  }

  /** Resolves when it is time for the next. `trouble`: what to tell. @throws the reason of `over` */
  async again(trouble?: unknown): Promise<void> {
    const { clock, over } = this.#settler;
    over.throwIfAborted();
    if (trouble !== undefined) this.#tell(messageOf(trouble));
    await sleep(clock, nextWait(AGAIN, this.#history), over);
  }

  #tell(reason: string): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const { pipeline, driver, emit } = this.#settler;
    const error = `how jobs ended cannot be stored, and is tried again: ${reason}`;
    emit("pipeline_down", { pipeline, driver, error });
  }
}
