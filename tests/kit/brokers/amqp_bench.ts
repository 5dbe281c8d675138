/**
 * Places at a RabbitMQ for the jobs of one test.
 *
 * Invariant: each bench has an exchange and queues of its own; what it opened is closed at its end.
 */

import {
  amqp as schema,
  type AmqpBroker,
  type AmqpConfig,
} from "../../../lib/config/roadrunner/drivers/amqp.ts";
import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import { realClock } from "../../../lib/os/clock.ts";
import { amqp } from "../../../plugins/jobs/amqp/recipe.ts";
import type { Driver, DriverHost, DriverKind } from "../../../plugins/jobs/driver.ts";
import { type Bench, settingsOf } from "../../unit/plugins/jobs/conformance/kit.ts";
import { FakeSystem } from "../fake_system.ts";
import { pause, until } from "../wait.ts";

let made = 0;

/** See the file's comment. */
export class AmqpBench implements Bench {
  readonly told: [name: string, data: Record<string, unknown>][] = [];
  readonly broker: AmqpBroker;
  readonly #name = `bench ${++made}`;
  readonly #kinds: DriverKind[] = [];
  readonly #open: Driver[] = [];

  constructor(address: string, more = "") {
    this.broker = { addr: `amqp://guest:guest@${address}/${more}` };
  }

  /** What a pipeline here is opened from; `written` as in the file. */
  config(pipeline = "default", written: Record<string, unknown> = {}): AmqpConfig {
    const queue = `${this.#name}/${pipeline}`;
    const own = { exchange: this.#name, queue, durable: true, exchange_durable: true };
    return schema.complete({ ...own, ...written }, pipeline, (path) => path);
  }

  settings(pipeline: string): PipelineConfig {
    // The suite takes that many and ends none before the last.
    return settingsOf({ driver: "amqp", prefetch: 20_000, config: this.config(pipeline) });
  }

  /** One that is connected. */
  async open(pipeline = "default", more: Partial<PipelineConfig> = {}): Promise<Driver> {
    const driver = this.make(pipeline, more);
    await driver.open();
    await until("it is connected", () => driver.state.state === "ready");
    return driver;
  }

  /** One that is not open yet, as another daemon would have it: with connections of its own. */
  make(pipeline = "default", more: Partial<PipelineConfig> = {}, broker = this.broker): Driver {
    const emit = (name: string, data: unknown) =>
      void this.told.push([name, data as Record<string, unknown>]);
    const system = new FakeSystem(realClock);
    const host: DriverHost = { clock: realClock, emit, system, state_dir: "/nowhere" };
    const kind = amqp.kind(host) as DriverKind;
    const driver = kind.create(pipeline, { ...this.settings(pipeline), ...more }, broker);
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
