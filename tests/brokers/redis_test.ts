/** The driver redis, with a real server: what every driver does. */

import type { PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import type { Driver } from "../../plugins/jobs/driver.ts";
import { redis } from "../../plugins/jobs/redis/recipe.ts";
import { redisServer } from "../kit/brokers/redis.ts";
import { RedisDaemon, redisSettings } from "../kit/brokers/redis_daemon.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { pause } from "../kit/wait.ts";
import type { Bench } from "../unit/plugins/jobs/conformance/kit.ts";
import { conformance } from "../unit/plugins/jobs/conformance/suite.ts";

const shared = await BrokerServer.start(redisServer("--appendfsync", "no"));

globalThis.addEventListener("unload", () => void shared.kill());

/** As long as ioredis gives back the memory of a large answer, by an interval of its own. */
const GIVING_BACK = 6000;

let places = 0;

class RedisBench implements Bench {
  readonly #daemon: RedisDaemon;
  readonly #prefix = `test:${++places}:`;
  readonly #open = new Map<string, Driver>();
  #large = false;

  constructor(port: number) {
    this.#daemon = new RedisDaemon(port);
  }

  async open(pipeline = "default", more: Partial<PipelineConfig> = {}): Promise<Driver> {
    await this.#open.get(pipeline)?.[Symbol.asyncDispose]();
    const settings = redisSettings({ prefix: this.#prefix }, more);
    const driver = await this.#daemon.open(settings, pipeline);
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
