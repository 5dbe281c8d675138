/**
 * Places at a NATS server for the jobs of one test.
 *
 * Invariant: each bench has streams of its own; what it opened is closed at its end.
 */

import { JOB_DRIVERS } from "../../../lib/config/defaults.ts";
import type { NatsBroker, NatsConfig } from "../../../lib/config/roadrunner/drivers/nats.ts";
import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import { realClock } from "../../../lib/os/clock.ts";
import type { Driver, DriverHost, DriverKind } from "../../../plugins/jobs/driver.ts";
import { nats } from "../../../plugins/jobs/nats/recipe.ts";
import { type Bench, settingsOf } from "../../unit/plugins/jobs/conformance/kit.ts";
import { FakeSystem } from "../fake_system.ts";
import { pause } from "../wait.ts";

const { broker: _, prefetch, ...PRESET } = JOB_DRIVERS.nats;

let made = 0;

/** See the file's comment. */
export class NatsBench implements Bench {
  readonly told: [name: string, data: unknown][] = [];
  readonly broker: NatsBroker;
  readonly #name = `s${Date.now()}-${++made}`;
  readonly #kinds: DriverKind[] = [];
  readonly #open: Driver[] = [];

  constructor(address: string, more: Partial<NatsBroker> = {}) {
    this.broker = { addr: `nats://${address}`, ...more };
  }

  /** The stream and the subject of a pipeline here. */
  config(pipeline = "default", more: Partial<NatsConfig> = {}): NatsConfig {
    const name = `${this.#name}-${new TextEncoder().encode(pipeline).toHex()}`;
    return { ...PRESET, stream: name, subject: `${name}.jobs`, ...more };
  }

  async open(pipeline = "default", more: Partial<PipelineConfig> = {}): Promise<Driver> {
    const driver = this.make(pipeline, more);
    await driver.open();
    return driver;
  }

  /** One that is not open yet, as another daemon would have it: with a connection of its own. */
  make(pipeline = "default", more: Partial<PipelineConfig> = {}): Driver {
    const emit = (name: string, data: unknown) => void this.told.push([name, data]);
    const system = new FakeSystem(realClock);
    const host: DriverHost = { clock: realClock, emit, system, state_dir: "/nowhere" };
    const kind = nats.kind(host) as DriverKind;
    const config = this.config(pipeline);
    const settings = settingsOf({ driver: "nats", prefetch, config, ...more });
    const driver = kind.create(pipeline, settings, this.broker);
    this.#kinds.push(kind);
    this.#open.push(driver);
    return driver;
  }

  pass(ms: number): Promise<void> {
    return pause(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#open) await driver[Symbol.asyncDispose]();
    for (const kind of this.#kinds) await kind[Symbol.asyncDispose]();
  }
}
