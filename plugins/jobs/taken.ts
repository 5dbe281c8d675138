/**
 * A job that was taken from its driver and waits for a worker, or has one.
 *
 * Invariant: types only. What is acknowledged is settled: neither its end nor a way back reaches the
 * driver.
 */

import type { Delivery } from "./driver.ts";
import type { Outcome } from "./outcome.ts";

/** See the file's comment. */
export interface Taken {
  readonly pipeline: TakenFrom;
  readonly delivery: Delivery;
  /** `auto_ack` is done: it is the driver's no more. */
  acknowledged: boolean;
  /** Place among those of the same priority, of all pipelines. */
  readonly seq: number;
}

/** Why a job goes back: `cut` at a worker, or not begun. */
export type BackReason = "cut" | "paused" | "stopped";

/** Who did what with it, as far as known. */
export interface By {
  release: string;
  pid?: number;
}

/** A pipeline, as far as whoever has its jobs knows it. */
export interface TakenFrom {
  readonly name: string;
  /** The whole name of the pool that works for it. */
  readonly pool: string;
  readonly settings: { readonly driver: string; readonly timeout: number };
  /** Whether its jobs are given to workers now. */
  readonly flowing: boolean;
  /**
   * How long none of its jobs may begin, when so many are ahead: milliseconds; Infinity: until one
   * ends. 0: one may.
   */
  wait(now: number, ahead?: number): number;
  /** One of its jobs begins, or is not at a worker any more. */
  begun(): void;
  over(): void;
  /** Acknowledged before a worker gets it. */
  acknowledge(taken: Taken): Promise<void>;
  /** A worker ended it, one way or another. */
  ended(taken: Taken, outcome: Outcome, by: By): void;
  /** Nobody ended these. */
  handBack(taken: readonly Taken[], reason: BackReason): void;
}
