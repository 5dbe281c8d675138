/**
 * How many jobs may begin in a time.
 *
 * Invariant: in any stretch of time no more begin than the rate allows, and what a second allows.
 */

/** `jobs` in `per` milliseconds. */
export interface RateLimit {
  jobs: number;
  per: number;
}

/** See the file's comment. Times are clock milliseconds. */
export class Rate {
  #limit: RateLimit;
  /** Jobs that may begin at once. */
  #left: number;
  #since: number;

  constructor(limit: RateLimit, now: number) {
    this.#limit = limit;
    this.#left = this.#most;
    this.#since = now;
  }

  get limit(): RateLimit {
    return this.#limit;
  }

  /** Milliseconds until a job may begin after `ahead` others; 0: it may now. */
  wait(now: number, ahead = 0): number {
    this.#fill(now);
    const missing = 1 + ahead - this.#left;
    const { jobs, per } = this.#limit;
    return missing <= 0 ? 0 : Math.ceil(missing * per / jobs);
  }

  /** A job begins. */
  took(): void {
    this.#left--;
  }

  get #most(): number {
    const { jobs, per } = this.#limit;
    return Math.max(1, jobs * 1000 / per);
  }

  #fill(now: number): void {
    const { jobs, per } = this.#limit;
    this.#left = Math.min(this.#most, this.#left + (now - this.#since) * jobs / per);
    this.#since = now;
  }
}
