/**
 * The jobs plugin with pools that a test answers for, on a clock that a test moves.
 *
 * Invariant: at the end of a test no timer waits, no job is held, and nothing broke inside.
 */

import { assertEquals } from "@std/assert";
import type { Config } from "../../../../lib/config/config.ts";
import { JOBS, POOL } from "../../../../lib/config/defaults.ts";
import type { JobsConfig, PipelineConfig } from "../../../../lib/config/roadrunner/jobs.ts";
import type { PoolConfig } from "../../../../lib/config/roadrunner/pool.ts";
import { UpstreamSet } from "../../../../lib/http/mod.ts";
import type { System } from "../../../../lib/os/system.ts";
import type { ReleaseContext } from "../../../../lib/release/intake.ts";
import { noMetrics } from "../../../../lib/telemetry/metrics.ts";
import type { NewJob } from "../../../../plugins/jobs/engine.ts";
import { type Generation, JobsIntake } from "../../../../plugins/jobs/intake.ts";
import { ManualClock } from "../../../kit/manual_clock.ts";
import { configOf } from "../../release/configs.ts";
import { FakeCall, FakePool, type Told } from "../http/kit.ts";
import { settingsOf } from "./conformance/kit.ts";

/** A pool whose calls a test answers. */
export class JobsPool extends FakePool {
  /** How soon its end was asked to be over. */
  hurried: number | undefined;
  readonly #heard = new Set<() => void>();

  override hurry(ms?: number): void {
    this.hurried = ms;
  }

  override onChange(listener: () => void): () => void {
    this.#heard.add(listener);
    return () => void this.#heard.delete(listener);
  }

  /** Workers come or go. */
  become(alive: number): void {
    this.alive = alive;
    for (const listener of this.#heard) listener();
  }

  /** What jobs it has, in the order in which they came. */
  get names(): string[] {
    return this.calls.map((call) => call.context.job);
  }
}

/** The answer of a worker. */
export function say(call: FakeCall, answer: unknown): void {
  call.raw("", typeof answer === "string" ? answer : JSON.stringify(answer));
}

export const DONE = { type: 0, data: [] };

export const pool: PoolConfig = { ...POOL, num_workers: 1, max_surge: 1 };

/** A section with these pipelines, all of them consumed. */
export function jobsOf(
  pipelines: Record<string, Partial<PipelineConfig>>,
  more: Partial<JobsConfig> = {},
): JobsConfig {
  const all = Object.entries(pipelines).map(([name, one]) => [name, settingsOf(one)]);
  return {
    ...JOBS,
    pool,
    pipelines: Object.fromEntries(all),
    consume: Object.keys(pipelines),
    schedules: {},
    brokers: {},
    ...more,
  };
}

/** A configuration with that section; undefined: without. */
export function withJobs(jobs: JobsConfig | undefined): Config {
  return configOf([], { proxy: undefined, sections: jobs === undefined ? {} : { jobs } });
}

/** A job to push; its name says which it is. */
export function newJob(name: string, more: Partial<NewJob> = {}): NewJob {
  return { name, payload: new TextEncoder().encode(name), ...more };
}

/** A driver with nothing in it. */
export const EMPTY = { waiting: 0, delayed: 0, reserved: 0, dead: 0 };

/** What a pipeline's driver holds. */
export async function driverOf(stage: Stage, pipeline = "mail") {
  const { waiting, delayed, reserved, dead } = await stage.numbers(pipeline);
  return { waiting, delayed, reserved, dead };
}

/** The plugin's intake, what it made and what it told. */
export class Stage implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly told: Told[] = [];
  readonly pools: JobsPool[] = [];
  readonly intake: JobsIntake;
  #config: Config;

  constructor(jobs: JobsConfig | undefined) {
    const { clock } = this;
    this.#config = withJobs(jobs);
    this.intake = new JobsIntake({
      system: { clock } as unknown as System,
      clock,
      emit: (name, data) => void this.told.push([name, data] as Told),
      metrics: noMetrics,
      config: this.#config,
      state_dir: "/nowhere",
      signal: new AbortController().signal,
      pool: (order, release) => {
        const pool = new JobsPool(release.release_id, order);
        this.pools.push(pool);
        return Promise.resolve(pool);
      },
    });
  }

  /** Started, with a live release. */
  static async live(
    pipelines: Record<string, Partial<PipelineConfig>> = { mail: {} },
    more: Partial<JobsConfig> = {},
  ): Promise<Stage> {
    const stage = new Stage(jobsOf(pipelines, more));
    await stage.intake.start();
    stage.intake.swap(await stage.build());
    return stage;
  }

  /** The pool built last. */
  get pool(): JobsPool {
    return this.pools.at(-1)!;
  }

  /** The next call at the pool built last. */
  next(): Promise<FakeCall> {
    return this.pool.next();
  }

  build(id = `v${this.pools.length + 1}`): Promise<Generation> {
    const release: ReleaseContext = {
      release_id: id,
      release_path: "/releases/1",
      revision: "1",
      config: this.#config,
      ports: new Map(),
      upstreams: new UpstreamSet(id),
      hopeful: false,
      onReadiness: undefined,
    };
    return this.intake.build(release, new AbortController().signal);
  }

  /** Another configuration is taken on, as by a reload. */
  async reload(jobs: JobsConfig | undefined): Promise<void> {
    const next = withJobs(jobs);
    const rebinding = await this.intake.rebind(next);
    this.#config = next;
    rebinding?.commit();
    this.intake.configure(next);
  }

  push(name: string, more: Partial<NewJob> = {}, pipeline = "mail"): Promise<string[]> {
    return this.intake.engine.push(pipeline, [newJob(name, more)]);
  }

  /** Everything that can happen now has. */
  settled(): Promise<void> {
    return this.clock.advance(0);
  }

  /** Numbers of a pipeline's driver and counts. */
  async numbers(pipeline = "mail") {
    const all = await this.intake.engine.stat();
    const { stat, counts, running } = all.find(({ name }) => name === pipeline)!;
    return { ...stat!, running, counts };
  }

  // deno-lint-ignore no-explicit-any -- each event has its own facts
  events(name: Told[0]): any[] {
    return this.told.filter(([event]) => event === name).map(([, data]) => data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ending = this.intake[Symbol.asyncDispose]();
    await this.clock.advance(100_000);
    await ending;
    assertEquals(this.clock.pending, 0, "nothing waits");
    assertEquals(this.events("internal_error"), []);
  }
}
