/**
 * The jobs of one pipeline in a file.
 *
 * | state  | entered by | what                                                             |
 * | ------ | ---------- | ---------------------------------------------------------------- |
 * | new    | –          | nothing is open                                                  |
 * | open   | open()     | orders go to the file, which several pipelines share             |
 * | closed | dispose    | what was reserved waits in the file; all who wait here are refused |
 *
 * Invariant: a delivery is settled once; what is reserved at the end waits again.
 */

import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { Closing } from "../closing.ts";
import { Delivered } from "../delivered.ts";
import type {
  Abilities,
  DeadJob,
  Delivery,
  Driver,
  DriverStat,
  DriverState,
  Job,
  Settlement,
} from "../driver.ts";
import type { JobsFile } from "./file.ts";
import type { BuriedJob, GivenJob, StoredJob } from "./messages.ts";

/** What it can. */
export const CAN: Abilities = {
  delay: true,
  priority: true,
  dead: true,
  unique: true,
  durable: true,
};

/** A file, as long as it is used. */
export interface Lease extends AsyncDisposable {
  readonly file: JobsFile;
}

/** A job that was taken out of a file. */
class Taken extends Delivered {
  readonly key: number;

  constructor(job: GivenJob) {
    super(job, job.payload, job.headers, job.attempt, job.error);
    this.key = job.key;
  }
}

/** What is open. */
interface Open extends Lease {
  /** Number of the pipeline in the file. */
  readonly pipeline: number;
  unwatch(): void;
}

/** See the file's comment. */
export class SqliteDriver implements Driver {
  readonly can = CAN;
  onState: (() => void) | undefined;
  readonly #name: string;
  #settings: PipelineConfig;
  readonly #clock: Clock;
  readonly #lease: () => Promise<Lease>;
  readonly #reserved = new Set<Delivery>();
  readonly #closing: Closing;
  #open: Open | undefined;

  constructor(
    name: string,
    settings: PipelineConfig,
    clock: Clock,
    lease: () => Promise<Lease>,
  ) {
    this.#name = name;
    this.#closing = new Closing(name);
    this.#settings = settings;
    this.#clock = clock;
    this.#lease = lease;
  }

  get state(): DriverState {
    return this.#open?.file.state ?? { state: "connecting" };
  }

  async open(): Promise<void> {
    const lease = await this.#lease();
    try {
      const { file } = lease;
      const pipeline = await file.ask<number>({ do: "attach", name: this.#name });
      const unwatch = file.watch(() => this.onState?.());
      this.#open = {
        file,
        pipeline,
        unwatch,
        [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
      };
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
  }

  configure(settings: PipelineConfig): void {
    this.#settings = settings;
  }

  async push(jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    const { file, pipeline } = this.#opened;
    const size = jobs.reduce((sum, { payload }) => sum + payload.length, 0);
    const window = this.#settings.unique?.window;
    const pushed = jobs.map((job) => ({ ...stored(job), window: job.unique_window ?? window }));
    await file.ask({ do: "push", pipeline, jobs: pushed }, signal, size);
  }

  async take(most: number, signal: AbortSignal): Promise<Delivery[]> {
    const { file, pipeline } = this.#opened;
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const jobs = await file.ask<GivenJob[]>({ do: "take", pipeline, most }, either);
    if (this.#closing.hasBegun) {
      file.back(jobs.map(({ key }) => key));
      throw this.#closing.failure();
    }
    const taken = jobs.map((job) => new Taken(job));
    for (const one of taken) this.#reserved.add(one);
    return taken;
  }

  async settle(delivery: Delivery, settlement: Settlement): Promise<void> {
    const { file } = this.#opened;
    const { key, id } = delivery as Taken;
    if (!this.#reserved.delete(delivery)) throw this.#closing.settledTwice(delivery);
    if (settlement.kind === "back") return file.back([key]);
    const wall = Math.floor(this.#clock.wall());
    const found = await file.last<boolean>({ do: "settle", key, id, wall, settlement });
    if (!found) throw new Failure(`job "${id}" of pipeline "${this.#name}" is not in its file`);
  }

  async stat(): Promise<DriverStat> {
    const { file, pipeline } = this.#opened;
    return await file.ask({ do: "stat", pipeline });
  }

  async dead(most: number, after?: string): Promise<DeadJob[]> {
    const { file, pipeline } = this.#opened;
    return await file.ask<BuriedJob[]>({ do: "dead", pipeline, most, after });
  }

  async retry(id: string): Promise<boolean> {
    const { file, pipeline } = this.#opened;
    return await file.ask({ do: "retry", pipeline, id });
  }

  async drop(id: string): Promise<boolean> {
    const { file, pipeline } = this.#opened;
    return await file.ask({ do: "drop", pipeline, id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closing.begin()) return;
    const open = this.#open;
    if (open === undefined) return;
    const keys = [...this.#reserved].map((one) => (one as Taken).key);
    this.#reserved.clear();
    if (keys.length > 0) open.file.back(keys);
    open.unwatch();
    await open[Symbol.asyncDispose]();
  }

  /** @throws Failure when it is closed */
  get #opened(): Open {
    if (this.#open === undefined || this.#closing.hasBegun) throw this.#closing.failure();
    return this.#open;
  }
}

/** A job as it goes to the thread, with a payload that is nobody else's and no part of something bigger. */
function stored(job: Job): StoredJob {
  const { id, name, headers, priority, delay, auto_ack, unique } = job;
  const payload = new Uint8Array(job.payload);
  return { id, name, payload, headers, priority, delay, auto_ack, unique };
}
