/**
 * `dynamic_allocator`: more workers while requests wait, fewer when they no longer do.
 *
 * RoadRunner adds workers when a request has failed for want of one; here the wait itself is the
 * measure, so that none has to fail.
 *
 * Invariant: it only decides; never more than `max_workers` on top, never fewer than none; at most
 * `spawn_rate` more in a second, and `spawn_rate` fewer in `idle_timeout`.
 */

import type { PoolSettings } from "./types.ts";

/** The wait of a request that shows a lack of workers, milliseconds. */
export const LACK = 50;
/** Between two rounds of more, milliseconds. */
const ROUND = 1_000;

/** See the file's comment. Times are clock milliseconds. */
export class Scaler {
  /** Places on top of the configured ones. */
  extra = 0;
  #grewAt = -Infinity;
  #neededAt = 0;

  /** A request has to wait. */
  needed(now: number): void {
    this.#neededAt = now;
  }

  /** How many more, now that somebody has waited for `waited` milliseconds. */
  more(settings: PoolSettings["dynamic_allocator"], waited: number, now: number): number {
    if (settings === undefined || waited < LACK || now - this.#grewAt < ROUND) return 0;
    const count = Math.min(settings.spawn_rate, settings.max_workers - this.extra);
    if (count <= 0) return 0;
    this.#grewAt = now;
    this.#neededAt = now;
    this.extra += count;
    return count;
  }

  /** When to ask again while requests wait; Infinity: not at all. */
  next(settings: PoolSettings["dynamic_allocator"], since: number, now: number): number {
    if (settings === undefined || this.extra >= settings.max_workers) return Infinity;
    return Math.max(since + LACK, this.#grewAt + ROUND, now + 1);
  }

  /** How many fewer. */
  fewer(settings: PoolSettings["dynamic_allocator"], now: number): number {
    if (this.extra === 0) return 0;
    if (settings !== undefined && now - this.#neededAt < settings.idle_timeout) return 0;
    this.#neededAt = now;
    const count = Math.min(settings?.spawn_rate ?? this.extra, this.extra);
    this.extra -= count;
    return count;
  }
}
