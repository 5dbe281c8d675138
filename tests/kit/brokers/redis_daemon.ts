/** The driver redis as a daemon has it, and Redis as an operator has it. */

import { Redis } from "ioredis";
import { JOB_DRIVERS } from "../../../lib/config/defaults.ts";
import type { RedisBroker, RedisConfig } from "../../../lib/config/roadrunner/drivers/redis.ts";
import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import { realSystem } from "../../../lib/os/real.ts";
import type { Driver, DriverHost, DriverKind } from "../../../plugins/jobs/driver.ts";
import { redis } from "../../../plugins/jobs/redis/recipe.ts";
import { settingsOf } from "../../unit/plugins/jobs/conformance/kit.ts";
import { until } from "../wait.ts";

const system = realSystem();

/** Settings of a pipeline. */
export function redisSettings(
  config: Partial<RedisConfig> = {},
  more: Partial<PipelineConfig> = {},
): PipelineConfig {
  const { prefix, visibility_timeout } = JOB_DRIVERS.redis;
  return settingsOf({
    driver: "redis",
    config: { prefix, visibility_timeout, ...config },
    ...more,
  });
}

/** A daemon, to the driver; what it opened is closed at its end. */
export class RedisDaemon implements AsyncDisposable {
  readonly told: { name: string; data: Record<string, unknown> }[] = [];
  readonly broker: RedisBroker;
  readonly host: DriverHost;
  readonly #drivers: Driver[] = [];
  #kind: DriverKind | undefined;

  constructor(port: number, more: Partial<RedisBroker> = {}) {
    this.broker = { addr: { host: "127.0.0.1", port }, db: 0, ...more };
    const emit = (name: string, data: object) => void this.told.push({ name, data: { ...data } });
    this.host = { system, clock: system.clock, emit, state_dir: "/nowhere" };
  }

  /** A pipeline, which may not be connected yet. */
  async begin(settings: PipelineConfig, name = "default"): Promise<Driver> {
    this.#kind ??= await redis.kind(this.host);
    const driver = this.#kind.create(name, settings, this.broker);
    this.#drivers.push(driver);
    await driver.open();
    return driver;
  }

  /** A pipeline that is connected. */
  async open(settings: PipelineConfig, name = "default"): Promise<Driver> {
    const driver = await this.begin(settings, name);
    await until("the connection", () => driver.state.state === "ready");
    return driver;
  }

  /** Events of that name. */
  of(name: string): Record<string, unknown>[] {
    return this.told.filter((one) => one.name === name).map(({ data }) => data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#drivers) await driver[Symbol.asyncDispose]();
    await this.#kind?.[Symbol.asyncDispose]();
  }
}

/** Sends commands as an operator, or a stranger, does. */
export async function command(port: number, ...words: string[]): Promise<unknown> {
  const client = new Redis({ port, host: "127.0.0.1", lazyConnect: true, connectTimeout: 0 });
  await client.connect();
  try {
    return await client.call(words[0], ...words.slice(1));
  } finally {
    const ended = new Promise((resolve) => client.once("end", resolve));
    client.disconnect();
    await ended;
  }
}
