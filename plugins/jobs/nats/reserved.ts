/**
 * Jobs that we have: taken and not yet settled. The server hears of each in time, so that it gives
 * them to nobody else.
 *
 * Invariants: one entry for each message of the stream, whatever the server shows twice; the only timer
 * stands while there is one.
 */

import type { Clock, Timer } from "../../../lib/core/clock.ts";
import { Delivered } from "../delivered.ts";
import type { Delivery } from "../driver.ts";

/** A job that we have; the server's answer is to be sent to `reply`. */
export class Reserved extends Delivered {
  settling = false;

  constructor(
    job: Delivery,
    /** Its place in the stream. */
    readonly seq: number,
    public reply: string,
    /** Which stream of that name it lies in. */
    readonly created: string,
  ) {
    super(job, job.payload, job.headers, job.attempt, job.error);
  }
}

/** How often the server hears of a job before it would give it to somebody else. */
const TIMES = 3;

/** See the file's comment. */
export class Reservations {
  readonly #clock: Clock;
  readonly #every: number;
  readonly #keep: (job: Reserved) => void;
  readonly #jobs = new Map<number, Reserved>();
  #timer: Timer | undefined;

  /** `keep`: tells the server that we still have it. */
  constructor(clock: Clock, ack_wait: number, keep: (job: Reserved) => void) {
    this.#clock = clock;
    this.#every = ack_wait / TIMES;
    this.#keep = keep;
  }

  get(seq: number): Reserved | undefined {
    return this.#jobs.get(seq);
  }

  all(): Reserved[] {
    return [...this.#jobs.values()];
  }

  add(job: Reserved): void {
    this.#jobs.set(job.seq, job);
    this.#timer ??= this.#clock.timer(this.#every, this.#tick);
  }

  delete(job: Reserved): void {
    if (this.#jobs.get(job.seq) === job) this.#jobs.delete(job.seq);
  }

  /** Those of a stream that is no more. @returns how many */
  forget(created: string): number {
    const gone = this.all().filter((job) => job.created !== created);
    for (const job of gone) this.delete(job);
    return gone.length;
  }

  /** The server hears of all of them now. */
  keepAll(): void {
    for (const job of this.#jobs.values()) this.#keep(job);
  }

  /** None any more, and nobody is told. */
  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#jobs.clear();
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    if (this.#jobs.size === 0) return;
    this.keepAll();
    this.#timer = this.#clock.timer(this.#every, this.#tick);
  };
}
