/**
 * Services for PHP clients: the configured ones (which are processes of the release), and those that a
 * client makes while the daemon runs.
 *
 * Invariants: a name means one service, configured or made; what a client made ends with the daemon and
 * is not remembered; a configured one that was terminated comes back with the next generation.
 */

import type { ProcessConfig } from "../config/config.ts";
import type { ServiceConfig } from "../config/roadrunner/service.ts";
import { servicesAsProcesses } from "../config/roadrunner/service.ts";
import { Failure } from "../core/failure.ts";
import type { ServiceHost, ServiceProcess } from "../control/rpc/mod.ts";
import { Meter } from "../pool/limits.ts";
import { workerUser } from "../release/identity.ts";
import type { Fleet } from "../release/fleet.ts";
import { STAY } from "../release/release.ts";
import { Slot, stopFailure } from "../release/slot.ts";

/** Services that clients may make; more are refused. */
const MOST_MADE = 100;

/** The services of a daemon. */
export class Services implements ServiceHost {
  readonly #made = new Map<string, Slot[]>();
  readonly #meters = new WeakMap<Slot, Meter>();

  constructor(readonly fleet: Fleet) {}

  async create(name: string, service: ServiceConfig): Promise<void> {
    const taken = this.#made.has(name) ||
      this.fleet.config.processes.some((process) => process.id === name);
    if (taken) throw new Failure(`there is a service or process "${name}" already`);
    if (this.#made.size >= MOST_MADE) {
      throw new Failure(`there are ${MOST_MADE} services made by clients already`, {
        fix: "terminate one, or write it into the configuration",
      });
    }
    // Whoever may call is a worker's user: it must not get another's rights by asking for a service.
    const user = service.user ?? workerUser(this.fleet.config);
    const [process] = servicesAsProcesses({ [name]: { ...service, user } });
    const slots = Array.from(
      { length: process.replicas },
      (_, index) => this.#slot(process, index),
    );
    this.#made.set(name, slots);
    try {
      await Promise.all(slots.map((slot) => slot.start("manual", { stay: STAY })));
    } catch (error) {
      this.#made.delete(name);
      await this.#stop(name, slots);
      throw error;
    }
  }

  async terminate(name: string): Promise<void> {
    const slots = this.#find(name);
    this.#made.delete(name);
    await this.#stop(name, slots);
  }

  async restart(name: string): Promise<void> {
    const restarted = this.#find(name).map(({ process }) =>
      process.restart("manual", { stay: STAY })
    );
    await Promise.all(restarted);
  }

  list(): string[] {
    const configured = this.fleet.active?.slots
      .filter(({ place }) => place.config.origin === "service").map(({ id }) => id) ?? [];
    return [...new Set([...configured, ...this.#made.keys()])];
  }

  processes(name: string): ServiceProcess[] | undefined {
    if (!this.list().includes(name)) return undefined;
    return this.#find(name).map((slot) => {
      const { pid, command, rss_bytes, reason, state } = slot.snapshot();
      return {
        pid: pid ?? 0,
        cpu_percent: pid === undefined ? 0 : this.#usage(slot, pid),
        memory_bytes: rss_bytes ?? 0,
        command,
        ...(pid === undefined ? { error: reason ?? state } : {}),
      };
    });
  }

  /** Stops what clients made. @throws Failure when something outlived SIGKILL */
  async end(): Promise<void> {
    const slots = [...this.#made.values()].flat();
    this.#made.clear();
    await this.#stop("of clients", slots);
  }

  /** Share of one processor since the look before. */
  #usage(slot: Slot, pid: number): number {
    const { system, clock } = this.fleet.ground;
    const meter = this.#meters.get(slot) ?? new Meter();
    this.#meters.set(slot, meter);
    return meter.read(system.row(pid), clock.now()).cpu_percent;
  }

  /** @throws Failure when there is none of that name */
  #find(name: string): Slot[] {
    const slots = this.#made.get(name) ??
      this.fleet.active?.copies(name).filter(({ place }) => place.config.origin === "service");
    if (slots !== undefined && slots.length > 0) return slots;
    throw new Failure(`there is no service "${name}"`, {
      fix: `services: ${this.list().join(", ") || "none"}`,
    });
  }

  async #stop(name: string, slots: readonly Slot[]): Promise<void> {
    const reports = await Promise.all(slots.map((slot) => slot.stop()));
    const failure = stopFailure(`service "${name}" is not wholly stopped`, reports);
    if (failure !== undefined) throw failure;
  }

  #slot(config: ProcessConfig, index: number): Slot {
    const { fleet } = this;
    const release = fleet.active;
    if (release === undefined) {
      throw new Failure(`the service "${config.id}" has no directory to run in: nothing is live`, {
        fix: "deploy a release first",
      });
    }
    const around = { config: fleet.config, release, env: fleet.ground.env, ports: release.ports };
    return new Slot({ config, index, count: config.replicas }, around, fleet.ground, () => {});
  }
}
