/**
 * Places at a beanstalkd for the jobs of one test.
 *
 * Invariant: each bench has tubes of its own; what it opened is closed at its end.
 */

import { JOB_DRIVERS } from "../../../lib/config/defaults.ts";
import type {
  BeanstalkBroker,
  BeanstalkConfig,
} from "../../../lib/config/roadrunner/drivers/beanstalk.ts";
import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import { realClock } from "../../../lib/os/clock.ts";
import { beanstalk } from "../../../plugins/jobs/beanstalk/recipe.ts";
import type { Driver, DriverHost, DriverKind } from "../../../plugins/jobs/driver.ts";
import { type Bench, settingsOf } from "../../unit/plugins/jobs/conformance/kit.ts";
import { FakeSystem } from "../fake_system.ts";
import { pause, until } from "../wait.ts";

const { broker: PRESET, prefetch, reserve_timeout } = JOB_DRIVERS.beanstalk;

let made = 0;

/** See the file's comment. */
export class BeanstalkBench implements Bench {
  readonly told: [name: string, data: unknown][] = [];
  readonly broker: BeanstalkBroker;
  readonly #name = `bench-${++made}`;
  readonly #open: Driver[] = [];

  constructor(port: number, more: Partial<BeanstalkBroker> = {}) {
    this.broker = { ...PRESET, addr: { host: "127.0.0.1", port }, ...more };
  }

  config(pipeline = "default", more: Partial<BeanstalkConfig> = {}): BeanstalkConfig {
    const tube = `${this.#name}.${new TextEncoder().encode(pipeline).toHex()}`;
    return { tube, reserve_timeout, ...more };
  }

  /** One that is connected. */
  async open(pipeline = "default", more: Partial<PipelineConfig> = {}): Promise<Driver> {
    const driver = this.make(pipeline, more);
    await driver.open();
    await until("it is connected", () => driver.state.state === "ready");
    return driver;
  }

  /** One that is not open yet, as another daemon would have it. */
  make(pipeline = "default", more: Partial<PipelineConfig> = {}): Driver {
    const emit = (name: string, data: unknown) => void this.told.push([name, data]);
    const system = new FakeSystem(realClock);
    const host: DriverHost = { clock: realClock, emit, system, state_dir: "/nowhere" };
    const kind = beanstalk.kind(host) as DriverKind;
    const config = this.config(pipeline);
    const settings = settingsOf({ driver: "beanstalk", prefetch, config, ...more });
    const driver = kind.create(pipeline, settings, this.broker);
    this.#open.push(driver);
    return driver;
  }

  pass(ms: number): Promise<void> {
    return pause(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#open) await driver[Symbol.asyncDispose]();
  }
}
