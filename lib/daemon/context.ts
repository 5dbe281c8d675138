/**
 * The parts of a running daemon that its operations work on, created by daemon.ts.
 *
 * Invariant: `config` is the configuration in force; it changes only in `adopt` of transition.ts.
 */

import type { JobsEngine } from "../../plugins/jobs/engine.ts";
import type { Config } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import type { Machine } from "../os/system.ts";
import type { Output } from "../process/output.ts";
import type { Fleet } from "../release/fleet.ts";
import type { Rebinding } from "../release/intake.ts";
import type { ForwardIntake } from "../release/forward_intake.ts";
import type { Emit } from "../telemetry/events.ts";
import type { Journal } from "../telemetry/journal.ts";
import type { Paths } from "./paths.ts";
import type { Restore } from "./restore.ts";
import type { ServiceManager } from "./service_manager.ts";
import type { Turn } from "./turn.ts";

/** Something that follows the configuration with an address or other live settings. */
export interface Addressed {
  /** As {@linkcode Intake.rebind}. @throws Failure */
  rebind(next: Config): Rebinding | undefined | Promise<Rebinding | undefined>;
  configure(next: Config): void;
}

/** One running daemon. */
export interface Context {
  readonly machine: Machine;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly journal: Journal;
  readonly output: Output;
  readonly paths: Paths;
  readonly fleet: Fleet;
  readonly proxy: ForwardIntake;
  /** The pipelines of jobs; undefined: no plugin has such. */
  readonly queues: JobsEngine | undefined;
  /** Everything that listens on an address of the configuration, intakes and others. */
  readonly addresses: () => readonly Addressed[];
  readonly turn: Turn;
  readonly manager: ServiceManager;
  readonly restore: Restore;
  /** Reads the configuration again, from the same file, environment and overrides. */
  readonly read: () => Promise<Config>;
  readonly started: { wall: number; now: number };
  /** Counters of things that should not happen, for status. */
  readonly counters: () => Record<string, number>;
  /** Clock time by which everything must be over, once somebody was in a hurry to end it. */
  hurried: number | undefined;
  state: "starting" | "running" | "stopping";
  config: Config;
}
