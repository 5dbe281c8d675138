/**
 * `dynamic_allocator` at work: what scale.ts decides, done.
 *
 * Invariant: it touches the crew only; nothing grows while starts fail or the pool is on its way out.
 */

import type { Emit } from "../telemetry/events.ts";
import type { Call } from "./call.ts";
import type { Crew } from "./crew.ts";
import { LACK, Scaler } from "./scale.ts";
import type { PoolSettings } from "./types.ts";

/** See the file's comment. Times are clock milliseconds. */
export class Allocator {
  readonly #scaler = new Scaler();
  readonly #crew: Crew;
  readonly #settings: () => PoolSettings;
  readonly #name: { pool: string; release: string };
  readonly #emit: Emit;

  constructor(
    crew: Crew,
    settings: () => PoolSettings,
    name: { pool: string; release: string },
    emit: Emit,
  ) {
    this.#crew = crew;
    this.#settings = settings;
    this.#name = name;
    this.#emit = emit;
  }

  /** A request has to wait. @returns when to look */
  waits(now: number): number {
    this.#scaler.needed(now);
    return this.#settings().dynamic_allocator === undefined ? Infinity : now + LACK;
  }

  /** More workers if the first that waits has waited too long. @returns when to look again */
  look(first: Call | undefined, now: number): number {
    const { quiesced, pace } = this.#crew;
    if (first === undefined || quiesced || pace.trying) return Infinity;
    const { dynamic_allocator } = this.#settings();
    const count = this.#scaler.more(dynamic_allocator, now - first.since, now);
    if (count > 0) {
      this.#tell(count, "demand");
      // The failure of a worker that nobody waits for by name is told by its event.
      for (const { filled } of this.#crew.grow(count, "scale")) filled.catch(() => {});
    }
    return this.#scaler.next(dynamic_allocator, first.since, now);
  }

  /** Fewer workers if they are not needed any more. */
  tick(now: number): void {
    const count = this.#scaler.fewer(this.#settings().dynamic_allocator, now);
    if (count === 0) return;
    this.#tell(-count, "rest");
    this.#crew.shrink(count);
  }

  #tell(by: number, why: string): void {
    const from = this.#crew.slots.length;
    this.#emit("pool_adapted", { ...this.#name, from, to: from + by, why });
  }
}
