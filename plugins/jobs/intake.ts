/**
 * Jobs for worker pools: the pipelines, the gate, and the pools of each release.
 *
 * Invariants: pipelines are open from `start` until the end, whatever releases come and go, so that a
 * push never has to wait for one; without a `jobs` section there is none, and a generation has no pool;
 * on a swap nothing begins at the old pools any more, what they have is finished within
 * `drain_timeout`, and what is not goes back to where it was taken from.
 */

import type { Config } from "../../lib/config/config.ts";
import type { JobsConfig } from "../../lib/config/roadrunner/jobs.ts";
import { jobsOf } from "../../lib/config/roadrunner/mod.ts";
import { configuredPools } from "../../lib/config/roadrunner/pools.ts";
import { type Draining, Gate } from "../../lib/core/gate.ts";
import type { WorkerPool } from "../../lib/pool/contract.ts";
import type {
  Drained,
  Intake,
  IntakeSnapshot,
  Rebinding,
  ReleaseContext,
  Unreachable,
} from "../../lib/release/intake.ts";
import type { PluginHost } from "../plugin.ts";
import { reopened } from "./compare.ts";
import type { JobsEngine } from "./engine.ts";
import { Pipelines } from "./pipelines.ts";
import { type Measure, pushMetrics } from "./push_metrics.ts";
import { Target } from "./target.ts";

const NAME = "jobs";

/** What a release is to this intake; without pools when its configuration has no `jobs`. */
export interface Generation {
  readonly target?: Target;
}

/** See the file's comment. */
export class JobsIntake implements Intake<Generation> {
  readonly name = NAME;
  readonly gate: Gate<Target>;
  /** Of pushes by clients. */
  readonly measure: Measure;
  readonly #host: PluginHost;
  readonly #pipelines: Pipelines;
  /** Those that were built and not dropped. */
  readonly #generations = new Set<Generation>();
  /** In force; undefined: no `jobs` section, or not started. */
  #jobs: JobsConfig | undefined;
  #state: IntakeSnapshot["state"] = "closed";

  constructor(host: PluginHost) {
    this.#host = host;
    const { system, clock, emit, state_dir, metrics } = host;
    this.gate = new Gate(clock);
    this.#pipelines = new Pipelines({ system, clock, emit, state_dir }, this.gate);
    this.measure = pushMetrics(metrics, clock, this.engine);
  }

  /** What can be asked of the pipelines. */
  get engine(): JobsEngine {
    return this.#pipelines;
  }

  /** @throws Failure as rebind() */
  async start(): Promise<void> {
    const { config } = this.#host;
    (await this.rebind(config))?.commit();
    this.configure(config);
  }

  /** @throws Failure when a driver cannot be opened */
  async rebind(next: Config): Promise<Rebinding | undefined> {
    const jobs = jobsOf(next);
    if (jobs === undefined) return undefined;
    const names = reopened(this.#jobs, jobs);
    if (names.length === 0) return undefined;
    const prepared = await this.#pipelines.prepare(jobs, names);
    return { commit: () => this.#pipelines.take(prepared), undo: () => prepared.undo() };
  }

  configure(next: Config): void {
    const jobs = this.#jobs = jobsOf(next);
    if (this.#state !== "draining") this.#state = jobs === undefined ? "closed" : "open";
    this.#pipelines.configure(jobs);
    const settings = new Map(configuredPools(next).map((pool) => [pool.name, pool.settings]));
    for (const { target } of this.#generations) {
      for (const [name, pool] of target?.pools ?? []) {
        const own = settings.get(name);
        if (own !== undefined) pool.update(own);
      }
    }
  }

  async build(release: ReleaseContext, signal: AbortSignal): Promise<Generation> {
    const orders = configuredPools(release.config).filter(({ plugin }) => plugin === NAME);
    if (orders.length === 0) return {};
    const pools: WorkerPool[] = [];
    // One that fails shall not leave others starting for nothing.
    const end = new AbortController();
    const either = AbortSignal.any([signal, end.signal]);
    const starts = orders.map(async ({ name, settings: { command, ...settings } }) => {
      try {
        const order = { plugin: NAME, name, command, settings };
        const pool = await this.#host.pool(order, release, either);
        pools.push(pool);
        await pool.start(either);
      } catch (error) {
        end.abort(error);
        throw error;
      }
    });
    const results = await Promise.allSettled(starts);
    if (results.some(({ status }) => status === "rejected")) {
      await Promise.all(pools.map((pool) => pool.destroy()));
      signal.throwIfAborted();
      throw end.signal.reason;
    }
    const target = new Target(new Map(pools.map((pool) => [pool.name, pool])));
    const generation = { target };
    this.#generations.add(generation);
    return generation;
  }

  swap(next: Generation | undefined): Draining {
    const old = this.gate.live;
    const draining = this.gate.swap(next?.target);
    this.#pipelines.turn(next?.target);
    old?.recall();
    return draining;
  }

  async drop(generation: Generation): Promise<void> {
    this.#generations.delete(generation);
    await generation.target?.end();
  }

  async drain(ms: number): Promise<Drained> {
    this.#state = "draining";
    this.#pipelines.stop();
    this.swap(undefined);
    const { draining } = this.gate;
    for (const one of draining) one.atMost(ms);
    await Promise.all(draining.map(({ idle }) => idle));
    return { cut: draining.reduce((sum, { wasCut }) => sum + wasCut, 0) };
  }

  cut(): void {
    if (this.gate.live !== undefined) this.swap(undefined);
    for (const one of this.gate.draining) one.cut();
  }

  drainBudget(): number {
    return this.#pipelines.drainBudget;
  }

  pools({ target }: Generation): readonly WorkerPool[] {
    return [...target?.pools.values() ?? []];
  }

  snapshot(): IntakeSnapshot {
    const pipelines = this.#pipelines.pipelines();
    const unreachable = pipelines.flatMap(({ name, driver, link }): Unreachable[] => {
      if (link.state === "ready") return [];
      const { error = "not connected", next_try_at } = link;
      return [{ name: `pipeline ${name} (${driver})`, error, next_try_at }];
    });
    return {
      name: NAME,
      address: pipelines.map(({ name }) => `pipeline ${name}`).join(", "),
      state: this.#state,
      requests: pipelines.reduce((sum, { counts }) => sum + counts.delivered, 0),
      ...(unreachable.length === 0 ? {} : { unreachable }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await this.#pipelines[Symbol.asyncDispose]();
    this.#state = "closed";
  }
}
