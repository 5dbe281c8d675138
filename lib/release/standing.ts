/**
 * Processes that belong to the daemon rather than to a release: persistent services, started when
 * missing, and singletons, replaced after every switch.
 *
 * Invariant: never two programs of one singleton or service: the old one's whole group is gone (and
 * an orphan of a dead daemon too) before the new one starts.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import type { Failure } from "../core/failure.ts";
import type { ProcessSnapshot, StartReason, StopOptions } from "../process/types.ts";
import type { Ground } from "./ground.ts";
import type { ReleaseContext } from "./intake.ts";
import { ofRelease, STAY } from "./release.ts";
import { reservePort, Slot, stopFailure } from "./slot.ts";

/** The services and singletons of one daemon. */
export class Standing {
  readonly #slots = new Map<string, Slot>();

  constructor(readonly ground: Ground) {}

  get slots(): Slot[] {
    return [...this.#slots.values()];
  }

  find(id: string): Slot | undefined {
    return this.#slots.get(id);
  }

  /** Ports by process id. */
  get ports(): Map<string, number> {
    return new Map(
      this.slots.filter((slot) => slot.port !== undefined).map((slot) => [slot.id, slot.port!]),
    );
  }

  /**
   * Makes a service that is not there yet, with its port but not started, so that the ports are
   * known to everything that starts with it.
   * @returns undefined when it is there already
   * @throws Failure when no port is free or a template has no value
   */
  prepare(process: ProcessConfig, config: Config, release: ReleaseContext): Slot | undefined {
    if (this.#slots.has(process.id)) return undefined;
    const slot = this.#make(process, config, release, new Map());
    this.#slots.set(process.id, slot);
    return slot;
  }

  /** Takes a service back that a failed deploy had made. */
  async undo(slot: Slot): Promise<void> {
    await slot.stop();
    if (this.#slots.get(slot.id) === slot) this.#slots.delete(slot.id);
  }

  /**
   * Replaces (or first starts) one process: old fully stopped, then new.
   * A new one that does not start stays listed and is retried under its policy.
   * @throws Failure why it does not run
   */
  async replace(
    process: ProcessConfig,
    config: Config,
    release: ReleaseContext,
    ports: ReadonlyMap<string, number>,
    reason: StartReason,
  ): Promise<void> {
    const old = this.#slots.get(process.id);
    if (old !== undefined) {
      const report = await old.stop();
      const left = stopFailure(`"${process.id}" is not replaced`, [report]);
      if (left !== undefined) throw left;
      this.#slots.delete(process.id);
    }
    await this.ground.orphans.clearFor(process.id);
    const slot = this.#make(process, config, release, ports);
    this.#slots.set(process.id, slot);
    await slot.start(reason, { supervise: true, stay: STAY });
  }

  /** Stops and forgets a process that is no longer configured. */
  async remove(id: string): Promise<Failure | undefined> {
    const slot = this.#slots.get(id);
    if (slot === undefined) return undefined;
    const left = stopFailure(`"${id}" is not stopped`, [await slot.stop()]);
    if (left === undefined) this.#slots.delete(id);
    return left;
  }

  /** Takes on newer settings. */
  update(config: Config): void {
    for (const process of config.processes) {
      if (!ofRelease(process)) this.#slots.get(process.id)?.update(process, config);
    }
  }

  /** Stops everything, side by side. */
  async stop(options: StopOptions = {}): Promise<Failure | undefined> {
    const reports = await Promise.all(this.slots.map((slot) => slot.stop(options)));
    return stopFailure("services and singletons are not wholly stopped", reports);
  }

  /** For status. */
  status(policy: "service" | "singleton"): { id: string; process: ProcessSnapshot }[] {
    return this.slots.filter((slot) => slot.place.config.policy === policy)
      .map((slot) => ({ id: slot.id, process: slot.snapshot() }));
  }

  #make(
    process: ProcessConfig,
    config: Config,
    release: ReleaseContext,
    ports: ReadonlyMap<string, number>,
  ): Slot {
    const { ground } = this;
    const port = reservePort(ground, config, process, process.id, release.release_id, new Set());
    const known = new Map([...this.ports, ...ports]);
    if (port !== undefined) known.set(process.id, port);
    const place = { config: process, index: 0, count: 1, port };
    try {
      return new Slot(place, { config, release, env: ground.env, ports: known }, ground, () => {});
    } catch (error) {
      if (port !== undefined) ground.ports.release(port);
      throw error;
    }
  }
}
