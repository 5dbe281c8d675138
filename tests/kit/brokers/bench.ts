/**
 * A place at a broker for the jobs of one test.
 *
 * Invariant: what it opened is closed at its end.
 */

import type {
  DriverConfig,
  DriverName,
  PipelineConfig,
} from "../../../lib/config/roadrunner/jobs.ts";
import { realClock } from "../../../lib/os/clock.ts";
import type { Driver, DriverHost, DriverKind, DriverRecipe } from "../../../plugins/jobs/driver.ts";
import { type Bench, settingsOf } from "../../unit/plugins/jobs/conformance/kit.ts";
import { FakeSystem } from "../fake_system.ts";
import { pause, until } from "../wait.ts";

/** Where a driver is made in tests. */
export function hostOf(emit: (name: string, data: unknown) => void = () => {}): DriverHost {
  return { clock: realClock, emit, system: new FakeSystem(realClock), state_dir: "/nowhere" };
}

/** What is of one driver. */
export interface BenchSpec<B, C, W> {
  readonly recipe: DriverRecipe;
  readonly broker: B;
  readonly prefetch: number;
  /** What a pipeline is opened from, with places at the broker that are this bench's own. */
  config(pipeline: string, written: W): C;
}

/** See the file's comment. */
export class DriverBench<B, C extends DriverConfig, W = Partial<C>> implements Bench {
  readonly told: [name: string, data: Record<string, unknown>][] = [];
  readonly broker: B;
  readonly #spec: BenchSpec<B, C, W>;
  readonly #kinds: DriverKind[] = [];
  readonly #open: Driver[] = [];

  constructor(spec: BenchSpec<B, C, W>) {
    this.#spec = spec;
    this.broker = spec.broker;
  }

  config(pipeline = "default", written = {} as W): C {
    return this.#spec.config(pipeline, written);
  }

  settings(pipeline: string): PipelineConfig {
    const { recipe, prefetch } = this.#spec;
    const driver = recipe.name as DriverName;
    return settingsOf({ driver, prefetch, config: this.config(pipeline) });
  }

  /** One that is connected. */
  async open(pipeline = "default", more: Partial<PipelineConfig> = {}): Promise<Driver> {
    const driver = await this.begin(pipeline, more);
    await until("it is connected", () => driver.state.state === "ready");
    return driver;
  }

  /** One that may not be connected yet. */
  async begin(pipeline = "default", more: Partial<PipelineConfig> = {}): Promise<Driver> {
    const driver = this.make(pipeline, more);
    await driver.open();
    return driver;
  }

  /** One that is not open yet, as another daemon would have it: with connections of its own. */
  make(pipeline = "default", more: Partial<PipelineConfig> = {}, broker: B = this.broker): Driver {
    const host = hostOf((name, data) =>
      void this.told.push([name, data as Record<string, unknown>])
    );
    const kind = this.#spec.recipe.kind(host) as DriverKind;
    const driver = kind.create(pipeline, { ...this.settings(pipeline), ...more }, broker);
    this.#kinds.push(kind);
    this.#open.push(driver);
    return driver;
  }

  /** What was told of that name. */
  of(name: string): Record<string, unknown>[] {
    return this.told.filter(([one]) => one === name).map(([, data]) => data);
  }

  pass(ms: number): Promise<void> {
    return pause(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#open) await driver[Symbol.asyncDispose]();
    for (const kind of this.#kinds) await kind[Symbol.asyncDispose]();
  }
}
