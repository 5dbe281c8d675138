/**
 * A place in a pool: who works in it, who is being hired for it, and why that one shall be replaced.
 *
 * No `Gate` (lib/core/gate.ts) stands here although this is a swap with a drain: a worker has at most one
 * request, so its own state is the lease, and its table (worker_life.ts: `leave`) the drain; a gate would
 * cost an object per request and know nothing more.
 *
 * Invariant: at most one worker and one attempt at a time; while there is a worker it is not ending.
 */

import { Pending } from "../process/pending.ts";
import type { Departure } from "./home.ts";
import type { Worker } from "./worker.ts";
import type { Mark } from "./worker_life.ts";

/** Why somebody is hired. */
export type Reason = "start" | "scale" | "debug" | "reset" | Mark | Departure;

/** The worker of a place shall be replaced, new before old. */
export interface Wish {
  why: "reset" | "max_jobs" | Mark;
  /** Who was spawned before does not fulfil it; clock milliseconds. */
  since: number;
  /** Told how it went. */
  done?: PromiseWithResolvers<void>;
}

/** Somebody is being hired. */
export interface Attempt {
  why: Reason;
  abort: AbortController;
  /** When the spawn was due; clock milliseconds. */
  since: number;
}

/** See the file's comment. */
export class Slot {
  worker: Worker | undefined;
  attempt: Attempt | undefined;
  wish: Wish | undefined;
  /** Why it is vacant. */
  vacantBy: Reason;
  /** Those who wait for the next attempt to end, one way or the other. */
  readonly filled = new Pending<void>();

  constructor(readonly index: number, why: Reason) {
    this.vacantBy = why;
  }
}
