/**
 * How a pool stands, and who hears of it.
 *
 * | state    | so when                                                                     |
 * | -------- | --------------------------------------------------------------------------- |
 * | starting | not yet started                                                             |
 * | ready    | workers work                                                                |
 * | degraded | starts fail, or workers that start well have yet to show that they can work |
 * | failing  | and nobody is there                                                         |
 * | draining | quiesced, or being destroyed                                                |
 * | stopped  | destroyed                                                                   |
 *
 * Invariant: the events tell the first failure and the recovery, not what lies between; listeners hear
 * once of each change of the state, and of whether anybody is there.
 */

import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import { Observers } from "../process/observers.ts";
import type { Emit } from "../telemetry/events.ts";
import type { Crew } from "./crew.ts";
import type { PoolSnapshot } from "./types.ts";

/** What is told about. */
export interface HealthHost {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly name: { pool: string; release: string };
  readonly crew: Crew;
  /** A pool in debug mode has nobody while nobody asks. */
  readonly debug: boolean;
}

/** See the file's comment. */
export class Health {
  /** Its destruction has begun, or is over. */
  end: "none" | "begun" | "over" = "none";
  readonly #host: HealthHost;
  readonly #observers = new Observers<Health>();
  #told = false;

  constructor(host: HealthHost) {
    this.#host = host;
  }

  get state(): PoolSnapshot["state"] {
    const { debug, crew: { quiesced, supervised, pace, slots, alive } } = this.#host;
    if (this.end === "over") return "stopped";
    if (quiesced || this.end === "begun") return "draining";
    if (!supervised) return "starting";
    if (debug) return "ready";
    const troubled = pace.trouble !== undefined;
    if (alive === 0 && slots.length > 0) return troubled ? "failing" : "degraded";
    return troubled ? "degraded" : "ready";
  }

  /** Calls `listener` whenever readiness may have changed. @returns takes it back */
  onChange(listener: () => void): () => void {
    return this.#observers.add(listener);
  }

  /** Something may be different. */
  look(): void {
    const { clock, emit, name, crew } = this.#host;
    const { alive, pace: { trouble, until }, slots: { length: target } } = crew;
    const { state } = this;
    if (trouble !== undefined && (state === "failing" || state === "degraded") && !this.#told) {
      this.#told = true;
      const next_try_ms = Math.max(0, Math.round(until - clock.now()));
      emit("pool_failing", { ...name, alive, target, reason: trouble, next_try_ms });
    } else if (this.#told && state === "ready") {
      this.#told = false;
      emit("pool_recovered", { ...name, alive });
    }
    this.#observers.tell(this, `${state} ${alive > 0}`, (error) => {
      const stack = error instanceof Error ? error.stack : undefined;
      emit("internal_error", { where: "a listener of a pool", error: messageOf(error), stack });
    });
  }
}
