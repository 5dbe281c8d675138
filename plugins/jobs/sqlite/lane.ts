/**
 * One pipeline in a file: its counts, who waits for its jobs, and where to go on taking.
 *
 * Invariants: every row in front of the cursor is reserved, so that taking does not grow with what
 * waits; what is reserved weighs no more than MAX_HELD, or is one job.
 */

import { messageOf } from "../../../lib/core/failure.ts";
import type { DriverStat } from "../driver.ts";
import type { Answer, GivenJob } from "./messages.ts";
import { givenJob, type Tables } from "./tables.ts";

/** Bytes of payloads that are out at workers, or wait for one in memory. */
const MAX_HELD = 128 * 1024 * 1024;
/** Bytes of payloads in one answer. */
const MAX_ANSWER = 16 * 1024 * 1024;
/** Rows that are looked at in one go. */
const CHUNK = 256;

/** A row of `waiting` that somebody has. */
export interface Reserved {
  pipeline: number;
  priority: number;
  place: number;
  /** Bytes. */
  size: number;
}

/** See the file's comment. */
export class Lane {
  /** Rows of `waiting`, the reserved included. */
  waiting = 0;
  delayed = 0;
  dead = 0;
  /** Nothing delayed is due before. */
  nextDue = Infinity;
  /** Number of the order and how many it wants, in the order in which they came. */
  readonly takers = new Map<number, number>();
  /** Priority and place of the last row that was looked at. */
  #cursor: [number, number] = [-1, -1];
  #reserved = 0;
  /** Bytes that are reserved. */
  #held = 0;

  constructor(
    readonly id: number,
    readonly tables: Tables,
    /** By body; of all pipelines. */
    readonly all: Map<number, Reserved>,
  ) {}

  get stat(): DriverStat {
    const { waiting, delayed, dead } = this;
    return { waiting: waiting - this.#reserved, delayed, reserved: this.#reserved, dead };
  }

  /** There is something to take at that place. */
  rewind(priority: number, place: number): void {
    const [at, behind] = this.#cursor;
    if (priority < at || (priority === at && place <= behind)) this.#cursor = [priority, place - 1];
  }

  /** Nobody has it any more; if it is still there it waits. */
  release(key: number, { priority, place, size }: Reserved): void {
    this.all.delete(key);
    this.#reserved--;
    this.#held -= size;
    this.rewind(priority, place);
  }

  /** Gives what waits to those who wait for it. */
  serve(): Answer[] {
    const answers: Answer[] = [];
    for (const [n, most] of this.takers) {
      try {
        const jobs = this.#take(most);
        if (jobs.length === 0) break;
        answers.push({ n, value: jobs });
      } catch (error) {
        answers.push({ n, error: messageOf(error) });
      }
      this.takers.delete(n);
    }
    return answers;
  }

  #take(most: number): GivenJob[] {
    const jobs: GivenJob[] = [];
    let size = 0;
    const isEnough = () =>
      jobs.length === most || size >= MAX_ANSWER || this.#reserved >= this.waiting ||
      (this.#held >= MAX_HELD && this.#reserved > 0);
    while (!isEnough()) {
      const rows = this.tables.next(this.id, ...this.#cursor, Math.min(CHUNK, most - jobs.length));
      if (rows.length === 0) break;
      for (const row of rows) {
        if (isEnough()) return jobs;
        const { priority, place, body } = row;
        if (!this.all.has(body)) {
          const job = givenJob(row, this.tables.body(body));
          jobs.push(job);
          this.#reserve(body, { pipeline: this.id, priority, place, size: job.payload.length });
          size += job.payload.length;
        }
        this.#cursor = [priority, place];
      }
    }
    return jobs;
  }

  #reserve(key: number, at: Reserved): void {
    this.all.set(key, at);
    this.#reserved++;
    this.#held += at.size;
  }
}
