/**
 * Requests that were refused because no worker was free: told in sums, not one by one.
 *
 * Invariant: the first is told at once, further ones at most every ten seconds; none is forgotten as
 * long as somebody flushes.
 */

/** Between two reports, milliseconds. */
const APART = 10_000;

/** See the file's comment. */
export class TurnedAway {
  /** All so far. */
  total = 0;
  #untold = 0;
  #reason = "";
  #toldAt = -Infinity;
  readonly #tell: (requests: number, reason: string) => void;

  constructor(tell: (requests: number, reason: string) => void) {
    this.#tell = tell;
  }

  /** One more. `now`: clock milliseconds. */
  count(reason: string, now: number): void {
    this.total++;
    this.#untold++;
    this.#reason = reason;
    this.flush(now);
  }

  /** Tells what is untold, if it is time. */
  flush(now: number): void {
    if (this.#untold === 0 || now - this.#toldAt < APART) return;
    this.#toldAt = now;
    this.#tell(this.#untold, this.#reason);
    this.#untold = 0;
  }
}
