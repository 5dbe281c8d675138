/**
 * All pipelines: those of the configuration and those that clients declared.
 *
 * Invariants: names are unique; a pipeline is here exactly while its driver is open; jobs flow exactly
 * where somebody wants them to (`consuming`) while a release is live; changes to one pipeline take
 * turns.
 */

import type { JobsConfig, PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import { DEFAULT_POOL } from "../../lib/config/roadrunner/mod.ts";
import { JOBS } from "../../lib/config/defaults.ts";
import { type Clock, within } from "../../lib/core/clock.ts";
import { formatDuration } from "../../lib/core/duration.ts";
import { Failure, messageOf } from "../../lib/core/failure.ts";
import { own } from "../../lib/core/own.ts";
import type { Gate } from "../../lib/core/gate.ts";
import { unable, unstorable } from "./abilities.ts";
import { declared, isThere, mayDeclare, noSuch } from "./declaration.ts";
import type { DeadJob, DriverHost, Job } from "./driver.ts";
import { Drivers } from "./drivers.ts";
import type { JobsEngine, NewJob, PipelineInfo, PipelineStat, ScheduleInfo } from "./engine.ts";
import { Lanes } from "./lanes.ts";
import { complete } from "./new_job.ts";
import { Schedules } from "./schedule/schedules.ts";
import { Pipeline, type PipelineHost, type PipelineSpec } from "./pipeline.ts";
import type { Target } from "./target.ts";

/** How long numbers of a driver are waited for. */
const STAT_LIMIT = 5_000;

/** See the file's comment. */
export class Pipelines implements JobsEngine, AsyncDisposable {
  readonly #host: DriverHost;
  readonly #clock: Clock;
  readonly #drivers: Drivers;
  readonly #lanes: Lanes;
  readonly #schedules: Schedules;
  readonly #all = new Map<string, Pipeline>();
  /** Names that are being declared. */
  readonly #coming = new Set<string>();
  /** Those that are on their way out. */
  readonly #closing = new Set<Promise<void>>();
  #jobs: JobsConfig | undefined;
  #drainBudget = 0;
  #live = false;
  #seq = 0;

  constructor(host: DriverHost, gate: Gate<Target>) {
    this.#host = host;
    const { clock, emit } = host;
    this.#clock = clock;
    this.#drivers = new Drivers(host);
    const push = this.push.bind(this);
    this.#schedules = new Schedules({ clock, emit, state_dir: host.state_dir, push });
    this.#lanes = new Lanes({
      clock,
      emit,
      gate,
      pollers: () => this.#jobs?.num_pollers ?? 0,
      onSpace: () => {
        for (const pipeline of this.#all.values()) pipeline.more();
      },
    });
  }

  // What can be asked of them.

  pipelines(): PipelineInfo[] {
    const places = new Map(Object.keys(this.#jobs?.pipelines ?? {}).map((name, at) => [name, at]));
    const placeOf = ({ name, declared }: PipelineInfo) =>
      (declared ? undefined : places.get(name)) ?? places.size;
    return [...this.#all.values()].map(({ info }) => info)
      .sort((a, b) => placeOf(a) - placeOf(b));
  }

  driverOf(pipeline: string): string | undefined {
    return this.#all.get(pipeline)?.settings.driver;
  }

  async push(name: string, jobs: readonly NewJob[], signal?: AbortSignal): Promise<string[]> {
    const pipeline = this.#find(name);
    const whole = jobs.map((job) => complete(job, pipeline));
    const failure = unstorable(name, whole, pipeline.driver.can);
    if (failure !== undefined) throw failure;
    await this.#push(pipeline, whole, signal);
    return whole.map(({ id }) => id);
  }

  async declare(values: Readonly<Record<string, string>>): Promise<void> {
    const { name, pipeline: settings } = declared(values);
    if (this.#coming.has(name)) throw isThere(name, settings);
    mayDeclare(name, settings, this.#jobs, this.#all);
    this.#coming.add(name);
    try {
      const pipeline = await this.#open(name, settings, true);
      try {
        mayDeclare(name, settings, this.#jobs, this.#all); // a reload may have come first
      } catch (error) {
        await pipeline[Symbol.asyncDispose]();
        throw error;
      }
      this.#admit(pipeline);
    } finally {
      this.#coming.delete(name);
    }
    this.#host.emit("pipeline_declared", { pipeline: name, driver: settings.driver });
  }

  async pause(name: string): Promise<void> {
    const pipeline = this.#find(name);
    if (!pipeline.consuming) {
      throw new Failure(
        `no active listeners, nothing to pause: pipeline ${name} is paused already`,
      );
    }
    pipeline.consuming = false;
    await pipeline.stand("paused");
    this.#host.emit("pipeline_paused", { pipeline: name });
  }

  resume(name: string): Promise<void> {
    const pipeline = this.#find(name);
    if (pipeline.consuming) {
      throw new Failure(`the listener is already in the active state: pipeline ${name}`);
    }
    pipeline.consuming = true;
    this.#flow(pipeline);
    this.#host.emit("pipeline_resumed", { pipeline: name });
    return Promise.resolve();
  }

  async destroy(name: string): Promise<void> {
    const pipeline = this.#find(name);
    this.#all.delete(name);
    this.#coming.add(name);
    try {
      await this.#close(pipeline);
    } finally {
      this.#coming.delete(name);
    }
    const { driver } = pipeline.settings;
    this.#host.emit("pipeline_destroyed", { pipeline: name, driver });
  }

  stat(): Promise<PipelineStat[]> {
    const numbers = async (info: PipelineInfo): Promise<PipelineStat> => {
      const { driver } = this.#all.get(info.name)!;
      if (info.link.state !== "ready") {
        const { error = "not connected" } = info.link;
        return { ...info, stat: undefined, stat_error: error };
      }
      try {
        const stat = await within(this.#clock, STAT_LIMIT, driver.stat());
        if (stat.done) return { ...info, stat: stat.value };
        const stat_error = `it did not say its numbers within ${formatDuration(STAT_LIMIT)}`;
        return { ...info, stat: undefined, stat_error };
      } catch (error) {
        return { ...info, stat: undefined, stat_error: messageOf(error) };
      }
    };
    return Promise.all(this.pipelines().map(numbers));
  }

  schedules(): ScheduleInfo[] {
    return this.#schedules.infos();
  }

  dead(name: string, most: number, after?: string): Promise<DeadJob[]> {
    return this.#find(name).driver.dead(most, after);
  }

  retry(name: string, id: string): Promise<boolean> {
    return this.#find(name).driver.retry(id);
  }

  drop(name: string, id: string): Promise<boolean> {
    return this.#find(name).driver.drop(id);
  }

  // What the intake asks.

  /** As last configured: what a removed section leaves behind is still finished. Milliseconds. */
  get drainBudget(): number {
    return this.#drainBudget;
  }

  /** A pipeline with an open driver, not yet one of these. @throws Failure */
  async prepare(jobs: JobsConfig, names: readonly string[]): Promise<Prepared> {
    const opened: Pipeline[] = [];
    const undo = async () => {
      for (const pipeline of opened) await pipeline[Symbol.asyncDispose]();
    };
    const left = [...names];
    const some = async () => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        opened.push(await this.#open(name, jobs.pipelines[name], false, jobs));
      }
    };
    const openers = Array.from({ length: jobs.options.parallelism }, some);
    const failed = (await Promise.allSettled(openers)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") {
      await undo();
      throw failed.reason;
    }
    return { pipelines: opened, undo: () => this.#later(undo()) };
  }

  /** These are in use from now on, in place of those of the same name. Synchronous. */
  take({ pipelines }: Prepared): void {
    for (const pipeline of pipelines) {
      const old = this.#all.get(pipeline.name);
      if (old !== undefined) this.#later(this.#close(old));
      this.#admit(pipeline);
    }
  }

  /** Another configuration is in force. Synchronous. */
  configure(jobs: JobsConfig | undefined): void {
    const before = this.#jobs;
    this.#jobs = jobs;
    this.#drainBudget = jobs?.drain_timeout ?? this.#drainBudget;
    for (const [name, pipeline] of this.#all) {
      const settings = pipeline.declared ? pipeline.settings : own(jobs?.pipelines, name);
      if (jobs === undefined || settings === undefined) {
        this.#all.delete(name);
        this.#later(this.#close(pipeline));
        continue;
      }
      pipeline.configure(settings, poolOf(settings, jobs));
      const wanted = jobs.consume.includes(name);
      // What was paused or resumed by hand stays so, until its line in the file is another.
      if (before?.consume.includes(name) === wanted) continue;
      pipeline.consuming = wanted;
      if (wanted) this.#flow(pipeline);
      else this.#later(pipeline.stand("paused"));
    }
    this.#schedules.configure(jobs?.schedules ?? {});
    this.#lanes.pump();
  }

  /** Nothing is pushed by the clock any more. */
  stop(): void {
    this.#schedules.stop();
  }

  /** Another release is live, or none. Synchronous. */
  turn(target: Target | undefined): void {
    this.#live = target !== undefined;
    for (const pipeline of this.#all.values()) {
      if (this.#live) this.#flow(pipeline);
      else this.#later(pipeline.stand("stopped"));
    }
    this.#lanes.turn(target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.turn(undefined);
    for (const pipeline of this.#all.values()) this.#later(pipeline[Symbol.asyncDispose]());
    this.#all.clear();
    await Promise.all(this.#closing);
    await this.#schedules[Symbol.asyncDispose]();
    this.#lanes[Symbol.dispose]();
    await this.#drivers[Symbol.asyncDispose]();
  }

  async #open(
    name: string,
    settings: PipelineConfig,
    declared: boolean,
    jobs = this.#jobs,
  ): Promise<Pipeline> {
    const driver = await this.#drivers.create(name, settings, jobs?.brokers ?? {});
    const spec: PipelineSpec = { name, settings, pool: poolOf(settings, jobs), declared };
    const pipeline = new Pipeline(spec, driver, this.#hostOf());
    try {
      const failure = unable(name, settings, driver.can);
      if (failure !== undefined) throw failure;
      await driver.open();
    } catch (error) {
      await driver[Symbol.asyncDispose]();
      throw error;
    }
    pipeline.consuming = jobs?.consume.includes(name) ?? false;
    return pipeline;
  }

  #hostOf(): PipelineHost {
    const { clock, emit } = this.#host;
    return {
      clock,
      emit,
      lanes: this.#lanes,
      seq: () => this.#seq++,
      space: () => (this.#jobs?.pipeline_size ?? JOBS.pipeline_size) - this.#lanes.waiting,
      bury: (to, job) => {
        const pipeline = this.#find(to);
        return this.#push(pipeline, [{ ...job, priority: pipeline.settings.priority }]);
      },
    };
  }

  #admit(pipeline: Pipeline): void {
    this.#all.set(pipeline.name, pipeline);
    this.#flow(pipeline);
  }

  #flow(pipeline: Pipeline): void {
    if (this.#live && pipeline.consuming) pipeline.flow();
  }

  /** What workers have of it may be finished. */
  async #close(pipeline: Pipeline): Promise<void> {
    await pipeline.stand("stopped");
    await pipeline.empty(this.#drainBudget);
    await pipeline[Symbol.asyncDispose]();
  }

  async #later(work: Promise<void>): Promise<void> {
    const done = work.catch((error) =>
      this.#host.emit("internal_error", { where: "pipelines of jobs", error: messageOf(error) })
    );
    this.#closing.add(done);
    await done;
    this.#closing.delete(done);
  }

  async #push(pipeline: Pipeline, jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    const limit = this.#jobs?.timeout ?? JOBS.timeout;
    const end = new AbortController();
    const abort = () => end.abort(signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const timer = this.#clock.timer(limit, () => {
      const { name, driver: { state }, settings: { driver } } = pipeline;
      const away = state.state === "ready"
        ? ""
        : `: its driver ${driver} is not connected (${state.error ?? "no reason is known yet"})`;
      const what = `pipeline ${name} did not store a job within ${formatDuration(limit)}${away}`;
      end.abort(new Failure(what, { fix: "look at its driver, or raise jobs.timeout" }));
    });
    try {
      signal?.throwIfAborted();
      await pipeline.push(jobs, end.signal);
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", abort);
    }
  }

  /** @throws Failure */
  #find(name: string): Pipeline {
    const pipeline = this.#all.get(name);
    if (pipeline !== undefined) return pipeline;
    throw noSuch(name, this.#all);
  }
}

/** Pipelines that are open and not yet in use. */
export interface Prepared {
  readonly pipelines: readonly Pipeline[];
  undo(): void;
}

/** The whole name of a pipeline's pool. */
function poolOf({ pool }: PipelineConfig, jobs: JobsConfig | undefined): string {
  return jobs?.pools === undefined ? "jobs" : `jobs.${pool ?? DEFAULT_POOL}`;
}
