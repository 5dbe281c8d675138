/**
 * What a plugin is: the recipe for an intake.
 *
 * Invariant: a plugin owns nothing and does nothing when it is listed; everything happens in the
 * intake that the daemon asks it to create.
 */

import type { Config } from "../lib/config/config.ts";
import type { SectionSchema } from "../lib/config/mod.ts";
import type { Check } from "../lib/core/check.ts";
import type { Clock } from "../lib/core/clock.ts";
import type { RpcTable } from "../lib/goridge/rpc.ts";
import type { Machine, System } from "../lib/os/system.ts";
import type { WorkerPool } from "../lib/pool/contract.ts";
import type { Intake, ReleaseContext } from "../lib/release/intake.ts";
import type { PoolOrder } from "../lib/release/pools.ts";
import type { Emit } from "../lib/telemetry/events.ts";
import type { Metrics } from "../lib/telemetry/metrics.ts";
import type { JobsEngine } from "./jobs/engine.ts";

export type { PoolOrder } from "../lib/release/pools.ts";

/** What an intake is given to live in. */
export interface PluginHost {
  readonly system: System;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly metrics: Metrics;
  /** The configuration in force when the daemon came up; later ones come by configure(). */
  readonly config: Config;
  /** Where the daemon keeps its state; a directory that exists. */
  readonly state_dir: string;
  /** Aborted when the daemon ends. */
  readonly signal: AbortSignal;
  /**
   * A pool of a release, not yet started: the command rendered and run in the release path, with
   * everything a worker's environment holds (RR_MODE is the plugin's name). `on_init` has run before
   * the promise resolves.
   * @throws Failure when it cannot be rendered, or on_init failed with `exit_on_error`
   */
  pool(request: PoolOrder, release: ReleaseContext, signal: AbortSignal): Promise<WorkerPool>;
}

/** What checks of a plugin may look at. */
export interface CheckHost {
  readonly machine: Machine;
  /** Where the daemon keeps its state, or will: perhaps it is not there yet. */
  readonly state_dir: string;
}

/** A recipe. `name` is the section of the configuration it reads. */
export interface Plugin {
  readonly name: string;
  readonly section: SectionSchema;
  /** Only constructs; also when the section is missing (it may come with a reload). */
  // deno-lint-ignore no-explicit-any -- intakes of different generations stand side by side
  create(host: PluginHost): Intake<any>;
  /** Its methods for PHP clients. */
  // deno-lint-ignore no-explicit-any -- as create
  rpc?(intake: Intake<any>): RpcTable;
  /** Its pipelines, for operators: of the plugin that has such. */
  // deno-lint-ignore no-explicit-any -- as create
  queues?(intake: Intake<any>): JobsEngine;
  /**
   * What `doctor` asks of it, when its section is there. Addresses of the configuration are looked at
   * for all plugins in one check and are not among them.
   */
  checks?(config: Config, host: CheckHost): Check[];
}
