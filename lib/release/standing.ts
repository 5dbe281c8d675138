/**
 * Processes that belong to the daemon rather than to a release: persistent services, started when
 * missing, and singletons, replaced after every switch.
 *
 * Their ports are planned before anything of a release starts, because everything that starts may be
 * told of them: a process keeps its port over a replacement as long as its range contains it.
 *
 * Invariants: never two programs of one singleton or service: the old one's whole group is gone (and
 * an orphan of a dead daemon too) before the new one starts; a port that was planned belongs to a slot
 * or is given back by unplan().
 */

import type { Config, PortRange, ProcessConfig } from "../config/config.ts";
import type { Failure } from "../core/failure.ts";
import type { ProcessSnapshot, StartReason, StopOptions } from "../process/types.ts";
import type { Ground } from "./ground.ts";
import type { ReleaseContext } from "./intake.ts";
import { ofRelease, STAY } from "./release.ts";
import { identityOf } from "./identity.ts";
import { renderProcess, type Surroundings } from "./render.ts";
import { hasFixedPort, reservePort, Slot, stopFailure } from "./slot.ts";

/** The services and singletons of one daemon. */
export class Standing {
  readonly #slots = new Map<string, Slot>();
  /** Reserved for slots that are not made yet. */
  readonly #planned = new Map<string, number>();

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
   * The port that each service and singleton of `config` has or is going to have; new ones are
   * reserved until they are used, or unplan().
   *
   * @param not ports that strangers hold
   * @throws Failure when a port is not to be had; what was planned before it stays planned
   */
  plan(config: Config, release: ReleaseContext, not: ReadonlySet<number>): Map<string, number> {
    const ports = new Map<string, number>();
    for (const process of config.processes.filter((one) => !ofRelease(one))) {
      const port = this.#portOf(process, config, release, not);
      if (port !== undefined) ports.set(process.id, port);
    }
    return ports;
  }

  /** Gives back what was planned and not used. */
  unplan(): void {
    for (const id of [...this.#planned.keys()]) this.#unplan(id);
  }

  /**
   * Makes a service that is not there yet, with its port but not started.
   * @param ports those of everything that starts with it
   * @returns undefined when it is there already
   * @throws Failure when no port is free or a template has no value
   */
  prepare(
    process: ProcessConfig,
    config: Config,
    release: ReleaseContext,
    ports: ReadonlyMap<string, number>,
  ): Slot | undefined {
    if (this.#slots.has(process.id)) return undefined;
    const slot = this.#make(process, config, release, ports);
    this.#slots.set(process.id, slot);
    return slot;
  }

  /** Finds out now what could only fail later. @throws Failure when a template has no value */
  check(
    process: ProcessConfig,
    config: Config,
    release: ReleaseContext,
    ports: ReadonlyMap<string, number>,
  ): void {
    const port = process.port === undefined ? undefined : ports.get(process.id);
    const identity = identityOf(process, this.ground.system);
    const around = this.#around(config, release, ports);
    renderProcess(process, { index: 0, count: 1, port, identity }, around);
  }

  /** Takes a service back that a failed deploy had made. */
  async undo(slot: Slot): Promise<void> {
    await slot.stop();
    if (this.#slots.get(slot.id) === slot) this.#slots.delete(slot.id);
  }

  /**
   * Replaces (or first starts) one process: old fully stopped, then new.
   * A new one that does not start stays listed and is retried under its policy.
   * @param signal ends the waiting, not the program
   * @throws Failure why it does not run
   */
  async replace(
    process: ProcessConfig,
    config: Config,
    release: ReleaseContext,
    ports: ReadonlyMap<string, number>,
    reason: StartReason,
    signal?: AbortSignal,
  ): Promise<void> {
    try {
      const known = new Map(ports);
      const port = this.#portOf(process, config, release, new Set());
      if (port !== undefined) known.set(process.id, port);
      // What cannot be rendered shall not have cost the old one its life.
      this.check(process, config, release, known);
      await this.#end(process.id);
      await this.ground.orphans.clearFor(process.id);
      signal?.throwIfAborted();
      const slot = this.#make(process, config, release, known);
      this.#slots.set(process.id, slot);
      await slot.start(reason, { supervise: true, stay: STAY, signal });
    } finally {
      this.#unplan(process.id);
    }
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

  /** From now on the services, should they have to start again, are those of `release`. */
  redefine(config: Config, release: ReleaseContext, ports: ReadonlyMap<string, number>): void {
    for (const process of config.processes) {
      if (ofRelease(process) || process.policy !== "service") continue;
      const around = this.#around(config, release, ports);
      this.#slots.get(process.id)?.redefine(process, around);
    }
  }

  /** Stops all of one policy, or all there are, side by side. */
  async stop(
    options: StopOptions = {},
    policy?: "service" | "singleton",
  ): Promise<Failure | undefined> {
    const chosen = this.slots.filter((slot) =>
      policy === undefined || slot.place.config.policy === policy
    );
    const reports = await Promise.all(chosen.map((slot) => slot.stop(options)));
    return stopFailure(`${policy ?? "service or singleton"} is not wholly stopped`, reports);
  }

  /** For status. */
  status(policy: "service" | "singleton"): { id: string; process: ProcessSnapshot }[] {
    return this.slots.filter((slot) => slot.place.config.policy === policy)
      .map((slot) => ({ id: slot.id, process: slot.snapshot() }));
  }

  #unplan(id: string): void {
    const port = this.#planned.get(id);
    if (port !== undefined) this.ground.ports.release(port);
    this.#planned.delete(id);
  }

  /** @throws Failure when something of it cannot be stopped */
  async #end(id: string): Promise<void> {
    const old = this.#slots.get(id);
    if (old === undefined) return;
    const left = stopFailure(`"${id}" is not replaced`, [await old.stop()]);
    if (left !== undefined) throw left;
    this.#slots.delete(id);
  }

  /** The port it has and can keep, or the one it is going to have; reserved in either case. */
  #portOf(
    process: ProcessConfig,
    config: Config,
    release: ReleaseContext,
    not: ReadonlySet<number>,
  ): number | undefined {
    const { id, port } = process;
    if (port === undefined) return undefined;
    const has = this.#slots.get(id)?.port;
    if (has !== undefined && contains(port, has)) return has;
    const planned = this.#planned.get(id) ?? this.#foresee(process, config, release, not);
    this.#planned.set(id, planned);
    return planned;
  }

  #foresee(
    process: ProcessConfig,
    config: Config,
    release: ReleaseContext,
    not: ReadonlySet<number>,
  ): number {
    const { ports } = this.ground;
    const { id, policy, port } = process;
    // A predecessor of a dead daemon may hold the only port of a singleton, and goes at its turn.
    if (policy === "singleton" && hasFixedPort(process)) {
      if (ports.take(ownerOf(id, release), port!.from)) return port!.from;
    }
    return reservePort(this.ground, config, process, id, release.release_id, not)!;
  }

  /** Makes `port` its own: the planned one, or the one its predecessor has just given back. */
  #usePort(
    process: ProcessConfig,
    config: Config,
    release: ReleaseContext,
    port: number | undefined,
  ): number | undefined {
    const { id } = process;
    if (process.port === undefined || this.#planned.delete(id)) return port;
    if (port !== undefined && this.ground.ports.take(ownerOf(id, release), port)) return port;
    return reservePort(this.ground, config, process, id, release.release_id, new Set());
  }

  /** @param ports those of everything it may be told of, its own among them */
  #make(
    process: ProcessConfig,
    config: Config,
    release: ReleaseContext,
    ports: ReadonlyMap<string, number>,
  ): Slot {
    const port = this.#usePort(process, config, release, ports.get(process.id));
    const known = port === undefined ? ports : new Map([...ports, [process.id, port]]);
    const place = { config: process, index: 0, count: 1, port };
    try {
      return new Slot(place, this.#around(config, release, known), this.ground, () => {});
    } catch (error) {
      if (port !== undefined) this.ground.ports.release(port);
      throw error;
    }
  }

  #around(
    config: Config,
    release: ReleaseContext,
    ports: ReadonlyMap<string, number>,
  ): Surroundings {
    return { config, release, env: this.ground.env, ports: new Map([...this.ports, ...ports]) };
  }
}

function ownerOf(id: string, { release_id }: ReleaseContext): string {
  return `${id} of ${release_id}`;
}

function contains({ from, to }: PortRange, port: number): boolean {
  return from === 0 || (from <= port && port <= to);
}
