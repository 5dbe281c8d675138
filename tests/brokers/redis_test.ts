/** The driver redis, with a real server: what every driver does, and what only it does. */

import { JOB_DRIVERS } from "../../lib/config/defaults.ts";
import type { RedisBroker } from "../../lib/config/roadrunner/drivers/redis.ts";
import type { PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import { realSystem } from "../../lib/os/real.ts";
import type { Driver, DriverKind } from "../../plugins/jobs/driver.ts";
import { redis } from "../../plugins/jobs/redis/recipe.ts";
import { redisServer } from "../kit/brokers/redis.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { pause, until } from "../kit/wait.ts";
import { type Bench, settingsOf } from "../unit/plugins/jobs/conformance/kit.ts";
import { conformance } from "../unit/plugins/jobs/conformance/suite.ts";

const system = realSystem();
let places = 0;

/** A daemon, to the driver. */
class Daemon implements AsyncDisposable {
  readonly told: { name: string; data: unknown }[] = [];
  readonly #broker: RedisBroker;
  #kind: DriverKind | undefined;

  constructor(port: number, more: Partial<RedisBroker> = {}) {
    this.#broker = { addr: { host: "127.0.0.1", port }, db: 0, ...more };
  }

  /** A pipeline at that place, which may be unreachable. */
  async pipeline(
    prefix: string,
    name = "default",
    { config, ...more }: Partial<PipelineConfig> = {},
  ): Promise<Driver> {
    const settings = settingsOf({
      driver: "redis",
      config: { ...JOB_DRIVERS.redis, prefix, ...config },
      ...more,
    });
    const { clock } = system;
    const emit = (name: string, data: unknown) => void this.told.push({ name, data });
    this.#kind ??= await redis.kind({ system, clock, emit, state_dir: "/nowhere" });
    const driver = this.#kind.create(name, settings, this.#broker);
    await driver.open();
    return driver;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kind?.[Symbol.asyncDispose]();
  }
}

/** Resolves when it is connected. */
async function connected(driver: Driver): Promise<Driver> {
  await until("the connection", () => driver.state.state === "ready");
  return driver;
}

const shared = await BrokerServer.start(redisServer("--appendfsync", "no"));

globalThis.addEventListener("unload", () => void shared.kill());

/** As long as ioredis gives back the memory of a large answer, by an interval of its own. */
const GIVING_BACK = 6000;

class RedisBench implements Bench {
  readonly #daemon: Daemon;
  readonly #prefix = `test:${++places}:`;
  readonly #open = new Map<string, Driver>();
  #large = false;

  constructor(port: number) {
    this.#daemon = new Daemon(port);
  }

  async open(pipeline = "default", more: Partial<PipelineConfig> = {}): Promise<Driver> {
    await this.#open.get(pipeline)?.[Symbol.asyncDispose]();
    const driver = await connected(await this.#daemon.pipeline(this.#prefix, pipeline, more));
    this.#open.set(pipeline, driver);
    const push = driver.push.bind(driver);
    driver.push = (jobs, signal) => {
      this.#large ||= jobs.some(({ payload }) => payload.length > 1_000_000);
      return push(jobs, signal);
    };
    return driver;
  }

  pass(ms: number): Promise<void> {
    return pause(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#open.values()) await driver[Symbol.asyncDispose]();
    await this.#daemon[Symbol.asyncDispose]();
    if (this.#large) await pause(GIVING_BACK);
  }
}

conformance({
  name: "redis",
  can: redis.can,
  second: 100,
  bench: () => new RedisBench(shared.port),
});
