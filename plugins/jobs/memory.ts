/**
 * Jobs in the daemon's own memory. What is there when the daemon ends, however it ends, is lost.
 *
 * | a job is | in           | until                                                     |
 * | -------- | ------------ | --------------------------------------------------------- |
 * | waiting  | `#waiting`   | it is taken: lower priority number first, then first come |
 * | delayed  | `#delayed`   | its time has come: one timer, for the first of them       |
 * | reserved | `#reserved`  | it is settled                                             |
 * | dead     | `#dead`      | somebody retries or drops it, or MAX_DEAD more came        |
 *
 * Invariants: a job is in exactly one of them; jobs and the bytes of their payloads, the dead included,
 * never exceed what `config` says; times are those of the monotonic clock, so a wall clock that jumps
 * moves no job.
 */

import type { MemoryConfig, PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import type { Clock, Timer } from "../../lib/core/clock.ts";
import { Failure } from "../../lib/core/failure.ts";
import { formatSize } from "../../lib/core/size.ts";
import type { Emit } from "../../lib/telemetry/events.ts";
import { Closing } from "./closing.ts";
import { deadOf, Delivered } from "./delivered.ts";
import type {
  Abilities,
  DeadJob,
  Delivery,
  Driver,
  DriverHost,
  DriverRecipe,
  DriverStat,
  DriverState,
  Job,
  JobHeaders,
  Settlement,
} from "./driver.ts";
import { Heap } from "./heap.ts";
import { MAX_KEYS, UniqueKeys } from "./unique_keys.ts";
import { Waiters } from "./waiters.ts";

/** Dead letters of a pipeline; the oldest go first, as nobody looked at them. */
const MAX_DEAD = 10_000;

const CAN: Abilities = { delay: true, priority: true, dead: true, unique: true, durable: false };

/** The driver `memory`. */
export const memory: DriverRecipe = {
  name: "memory",
  can: CAN,
  kind: (host) => ({
    create: (pipeline, settings) => new MemoryDriver(pipeline, settings, host),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
};

/** What it needs of the outside. */
export type MemoryHost = Pick<DriverHost, "clock" | "emit">;

/** A job that lies here; made anew for every delivery, so that each is told from the one before. */
class Stored extends Delivered {
  constructor(
    job: Job,
    headers: JobHeaders,
    attempt: number,
    error: string | undefined,
    /** Place among those of the same priority. */
    readonly seq: number,
    /** Clock milliseconds; not before then. */
    readonly due: number,
  ) {
    super(job, job.payload, headers, attempt, error);
  }
}

const isSooner = (a: Stored, b: Stored) =>
  a.priority < b.priority || (a.priority === b.priority && a.seq < b.seq);
const isDueSooner = (a: Stored, b: Stored) => a.due < b.due || (a.due === b.due && a.seq < b.seq);

/** See the file's comment. */
export class MemoryDriver implements Driver {
  readonly can = CAN;
  readonly state: DriverState = { state: "ready" };
  onState: (() => void) | undefined;
  readonly #pipeline: string;
  readonly #closing: Closing;
  #settings: PipelineConfig;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #waiting = new Heap<Stored>(isSooner);
  readonly #delayed = new Heap<Stored>(isDueSooner);
  readonly #reserved = new Set<Delivery>();
  #dead: DeadJob[] = [];
  readonly #takers = new Waiters<Delivery[], number>();
  readonly #keys = new UniqueKeys();
  /** For the first of the delayed. */
  #timer: Timer | undefined;
  #timerDue = Infinity;
  #seq = 0;
  /** Bytes of all payloads. */
  #size = 0;

  constructor(pipeline: string, settings: PipelineConfig, { clock, emit }: MemoryHost) {
    this.#pipeline = pipeline;
    this.#closing = new Closing(pipeline);
    this.#settings = settings;
    this.#clock = clock;
    this.#emit = emit;
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  configure(settings: PipelineConfig): void {
    this.#settings = settings;
  }

  push(jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    try {
      signal?.throwIfAborted();
      this.#closing.check();
      this.#push(jobs);
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #push(jobs: readonly Job[]): void {
    const now = this.#clock.now();
    const window = this.#settings.unique?.window;
    const fresh = this.#keys.fresh(jobs, window, now);
    this.#mayHold(fresh);
    for (const job of fresh) {
      this.#keys.remember(job, window, now);
      this.#size += job.payload.length;
      this.#put(new Stored(job, job.headers, 1, undefined, this.#seq++, now + job.delay), now);
    }
    this.#hand();
  }

  take(most: number, signal: AbortSignal): Promise<Delivery[]> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#closing.hasBegun) return Promise.reject(this.#closing.failure());
    if (this.#takers.size === 0 && this.#waiting.size > 0) {
      return Promise.resolve(this.#reserve(most));
    }
    return this.#takers.wait(most, signal);
  }

  settle(delivery: Delivery, settlement: Settlement): Promise<void> {
    if (this.#closing.hasBegun) return Promise.reject(this.#closing.failure());
    const job = delivery as Stored;
    if (!this.#reserved.delete(job)) return Promise.reject(this.#closing.settledTwice(job));
    switch (settlement.kind) {
      case "ack":
      case "drop":
        this.#size -= job.payload.length;
        break;
      case "dead":
        this.#bury(job, settlement.error);
        break;
      case "back":
        this.#put(new Stored(job, job.headers, job.attempt, job.error, job.seq, 0), 0);
        this.#hand();
        break;
      case "again": {
        const { delay, headers, attempt, error } = settlement;
        const now = this.#clock.now();
        this.#put(new Stored(job, headers, attempt, error, this.#seq++, now + delay), now);
        this.#hand();
      }
    }
    return Promise.resolve();
  }

  stat(): Promise<DriverStat> {
    return Promise.resolve({
      waiting: this.#waiting.size,
      delayed: this.#delayed.size,
      reserved: this.#reserved.size,
      dead: this.#dead.length,
    });
  }

  dead(most: number, after?: string): Promise<DeadJob[]> {
    const from = after === undefined ? 0 : this.#dead.findIndex(({ id }) => id === after) + 1;
    // Behind one that is no more there is nothing that could be named.
    if (after !== undefined && from === 0) return Promise.resolve([]);
    return Promise.resolve(this.#dead.slice(from, from + most));
  }

  retry(id: string): Promise<boolean> {
    const job = this.#unbury(id);
    if (job === undefined) return Promise.resolve(false);
    this.#put(new Stored(job, job.headers, 1, undefined, this.#seq++, 0), 0);
    this.#hand();
    return Promise.resolve(true);
  }

  drop(id: string): Promise<boolean> {
    const job = this.#unbury(id);
    if (job === undefined) return Promise.resolve(false);
    this.#size -= job.payload.length;
    return Promise.resolve(true);
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closing.begin()) return Promise.resolve();
    this.#timer?.cancel();
    this.#takers.refuse(this.#closing.failure());
    const jobs = this.#count;
    const reason = "memory keeps nothing when its pipeline is closed";
    if (jobs > 0) this.#emit("jobs_lost", { pipeline: this.#pipeline, jobs, reason });
    return Promise.resolve();
  }

  get #count(): number {
    const { size } = this.#waiting;
    return size + this.#delayed.size + this.#reserved.size + this.#dead.length;
  }

  /** Among those that wait, or that are due later. */
  #put(job: Stored, now: number): void {
    if (job.due <= now) this.#waiting.push(job);
    else {
      this.#delayed.push(job);
      this.#setTimer();
    }
  }

  /** Gives what waits to those who wait for it. */
  #hand(): void {
    this.#takers.serve((most) => this.#waiting.size > 0 ? this.#reserve(most) : undefined);
  }

  #reserve(most: number): Delivery[] {
    const jobs: Delivery[] = [];
    while (jobs.length < most && this.#waiting.size > 0) {
      const job = this.#waiting.pop()!;
      this.#reserved.add(job);
      jobs.push(job);
    }
    return jobs;
  }

  #setTimer(): void {
    const due = this.#delayed.first?.due ?? Infinity;
    if (due === this.#timerDue) return;
    this.#timer?.cancel();
    this.#timerDue = due;
    if (due === Infinity) return;
    this.#timer = this.#clock.timer(Math.max(0, due - this.#clock.now()), () => {
      this.#timerDue = Infinity;
      const now = this.#clock.now();
      while ((this.#delayed.first?.due ?? Infinity) <= now) {
        this.#waiting.push(this.#delayed.pop()!);
      }
      this.#setTimer();
      this.#hand();
    });
  }

  #bury(job: Stored, error: string): void {
    this.#dead.push(deadOf(job, error, this.#clock.wall()));
    if (this.#dead.length <= MAX_DEAD) return;
    this.#size -= this.#dead.shift()!.payload.length;
    const reason = `more than ${MAX_DEAD} dead letters`;
    this.#emit("jobs_lost", { pipeline: this.#pipeline, jobs: 1, reason });
  }

  #unbury(id: string): DeadJob | undefined {
    const at = this.#dead.findIndex((job) => job.id === id);
    return at < 0 ? undefined : this.#dead.splice(at, 1)[0];
  }

  /** @throws Failure when there is no room */
  #mayHold(jobs: readonly Job[]): void {
    if (!this.#keys.mayGrow(jobs.length)) {
      throw new Failure(
        `pipeline "${this.#pipeline}" in memory remembers ${MAX_KEYS} keys of unique jobs already`,
        { fix: `make unique.window of "${this.#pipeline}" shorter` },
      );
    }
    const { max_jobs, max_size } = this.#settings.config as MemoryConfig;
    const size = jobs.reduce((sum, { payload }) => sum + payload.length, this.#size);
    const full = this.#count + jobs.length > max_jobs
      ? `${max_jobs} jobs (max_jobs)`
      : size > max_size
      ? `${formatSize(max_size)} of payloads (max_size)`
      : undefined;
    if (full === undefined) return;
    throw new Failure(`pipeline "${this.#pipeline}" in memory is full: it may hold ${full}`, {
      fix: "add workers, or push later",
    });
  }
}
