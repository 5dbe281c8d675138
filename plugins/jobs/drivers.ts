/**
 * The list of drivers. Adding one is a file and a line here (and its name in the configuration).
 *
 * Invariant: what a driver needs is loaded when the first pipeline wants it.
 */

import type { Brokers, DriverName, PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import { Exit, Failure } from "../../lib/core/failure.ts";
import type { Driver, DriverHost, DriverKind, DriverRecipe } from "./driver.ts";
import { memory } from "./memory.ts";

const RECIPES: Partial<Record<DriverName, () => DriverRecipe | Promise<DriverRecipe>>> = {
  memory: () => memory,
  sqlite: async () => (await import("./sqlite/recipe.ts")).sqlite,
  redis: async () => (await import("./redis/recipe.ts")).redis,
  nats: async () => (await import("./nats/recipe.ts")).nats,
  amqp: async () => (await import("./amqp/recipe.ts")).amqp,
  beanstalk: async () => (await import("./beanstalk/recipe.ts")).beanstalk,
};

/** How drivers of that name are had. @throws Failure when this build has none */
export async function recipeOf(driver: DriverName): Promise<DriverRecipe> {
  const recipe = RECIPES[driver];
  if (recipe !== undefined) return await recipe();
  throw new Failure(`this build has no driver ${driver} for jobs`, {
    exit: Exit.config,
    fix: "write memory",
  });
}

/** All kinds of drivers, each made when it is wanted first. */
export class Drivers implements AsyncDisposable {
  readonly #host: DriverHost;
  readonly #kinds = new Map<DriverName, Promise<DriverKind>>();

  constructor(host: DriverHost) {
    this.#host = host;
  }

  /** The driver of a pipeline, not yet open. */
  async create(pipeline: string, settings: PipelineConfig, brokers: Brokers): Promise<Driver> {
    const { driver } = settings;
    let kind = this.#kinds.get(driver);
    if (kind === undefined) {
      kind = this.#make(driver);
      this.#kinds.set(driver, kind);
    }
    return (await kind).create(pipeline, settings, brokers[driver]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const kind of this.#kinds.values()) await (await kind)[Symbol.asyncDispose]();
    this.#kinds.clear();
  }

  async #make(driver: DriverName): Promise<DriverKind> {
    return (await recipeOf(driver)).kind(this.#host);
  }
}
