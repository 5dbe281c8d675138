/**
 * What the RPC tables ask of the daemon. `lib/daemon` implements it.
 *
 * Invariant: names and numbers here are ours (milliseconds, bytes, snake_case data as it is shown
 * elsewhere); what RoadRunner's clients call them is known to the tables only. What a method throws as
 * Failure is told to the caller in its words.
 */

import type { ServiceConfig } from "../../config/roadrunner/service.ts";
import type { CollectorConfig } from "../../config/roadrunner/metrics.ts";
import type { WorkerSnapshot } from "../../pool/types.ts";
import type { AppLevel } from "../../telemetry/events.ts";

/** The daemon, as PHP clients may use it. */
export interface RpcHost {
  /** RoadRunner's sections of the configuration in force, by name. */
  config(): Record<string, unknown>;
  /** Plugins that run workers: `http`, `jobs`. */
  plugins(): string[];
  /** The workers of a plugin's live generation; undefined: there is no such plugin. */
  workers(plugin: string): WorkerSnapshot[] | undefined;
  /** Rolls every pool of the plugin; resolves when that is done. @throws Failure */
  reset(plugin: string): Promise<void>;
  /** One worker more. @throws Failure */
  addWorker(plugin: string): Promise<void>;
  /** One worker less, never the last. @throws Failure */
  removeWorker(plugin: string): Promise<void>;
  /** Whether a plugin lives (`alive`) or takes requests (`ready`); undefined: no such plugin. */
  health(plugin: string, question: "alive" | "ready"): Health | undefined;
  /** Undefined: the configuration has no section for them. */
  readonly services: ServiceHost | undefined;
  /** Undefined: the configuration has no section for them. */
  readonly metrics: AppMetrics | undefined;
  /** A line of the application's log. */
  log(level: AppLevel, message: string, attributes: Record<string, string>): void;
}

/** An answer about health, as the status address gives it. */
export interface Health {
  /** 200, or the configured `unavailable_status_code`. */
  code: number;
  /** Why; "" when all is well. */
  message: string;
}

/** Services that are made, ended and looked at while the daemon runs. */
export interface ServiceHost {
  /**
   * Makes and starts one, until the daemon ends. It runs as the workers do (`server.user`): a worker
   * must not get another's rights by asking for a service.
   * @throws Failure (name taken, program unknown …)
   */
  create(name: string, service: ServiceConfig): Promise<void>;
  /** Stops one and forgets it. @throws Failure */
  terminate(name: string): Promise<void>;
  /** Stops one and starts it again. @throws Failure */
  restart(name: string): Promise<void>;
  list(): string[];
  /** Its processes; undefined: there is no such service. */
  processes(name: string): ServiceProcess[] | undefined;
}

/** One process of a service. */
export interface ServiceProcess {
  /** 0: it does not run. */
  pid: number;
  cpu_percent: number;
  memory_bytes: number;
  command: string;
  /** Why it does not run. */
  error?: string;
}

/** Collectors of the application. */
export interface AppMetrics {
  /** @returns false when the name is taken: nothing has changed. @throws Failure */
  declare(name: string, collector: CollectorConfig): boolean;
  /** @throws Failure `undefined collector: <name>`, or labels or kind do not fit */
  add(name: string, value: number, labels: string[]): void;
  sub(name: string, value: number, labels: string[]): void;
  observe(name: string, value: number, labels: string[]): void;
  set(name: string, value: number, labels: string[]): void;
  /** @throws Failure when there is no such collector */
  unregister(name: string): void;
}

/** Levels of the application's log. */
export type { AppLevel as AppLogLevel } from "../../telemetry/events.ts";
