/**
 * Repeatable randomness for property tests.
 *
 * Invariant: a run is named by its seed alone: the same seed gives the same choices on every machine
 * and every version of the runtime, and a failing run says its seed.
 */

/** A small generator of choices (the "mulberry32" mixing function). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A number from 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `from` to `to`, both included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  /** True about `share` of the time. */
  chance(share: number): boolean {
    return this.next() < share;
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.int(0, items.length - 1)];
  }

  /** `length` letters of `alphabet`. */
  text(length: number, alphabet = "abcdefghijklmnopqrstuvwxyz"): string {
    return Array.from({ length }, () => this.pick([...alphabet])).join("");
  }
}

/**
 * Runs `property` with `runs` seeds, 1 and up. `PROPERTY_SEED=n` runs that seed alone;
 * `PROPERTY_RUNS=n` runs n of them, to search longer than a test may.
 *
 * @throws the property's error, with the seed in front.
 */
export async function forSeeds(
  runs: number,
  property: (random: Random, seed: number) => void | Promise<void>,
): Promise<void> {
  const only = Number(Deno.env.get("PROPERTY_SEED") ?? 0);
  const last = only > 0 ? only : Number(Deno.env.get("PROPERTY_RUNS") ?? runs);
  for (let seed = only > 0 ? only : 1; seed <= last; seed++) {
    try {
      await property(new Random(seed), seed);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(`seed ${seed}: ${text}`, { cause: error });
    }
  }
}
