/**
 * One release: everything built from one path and revision.
 *
 * | state    | entered by                | processes                  | left to            |
 * | -------- | ------------------------- | -------------------------- | ------------------ |
 * | starting | deploy                    | being started and proven   | active, failed     |
 * | active   | the swap                  | kept alive                 | draining, stopping |
 * | draining | the next swap             | run, are not restarted     | stopping           |
 * | stopping | drained, `stop`, shutdown | on the stop ladder         | stopped            |
 * | stopped  | every group is gone       | none                       | – (history)        |
 * | failed   | a start that did not work | none                       | – (forgotten)      |
 *
 * Invariants: a release owns its proxied, companion and handoff processes, their ports and its worker
 * pools, and no other; its upstreams are exactly its proxied copies, and one is ready exactly while its program is
 * healthy and not being replaced.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import { stamp } from "../core/clock.ts";
import { Failure } from "../core/failure.ts";
import type { Draining } from "../core/gate.ts";
import { Upstream, UpstreamSet } from "../http/mod.ts";
import type { StartReason, StopOptions } from "../process/types.ts";
import type { Ground } from "./ground.ts";
import type { WorkerPool } from "../pool/contract.ts";
import type { Intake, ReleaseContext } from "./intake.ts";
import { instanceId, type Surroundings, upstreamHost } from "./render.ts";
import { hasFixedPort, reservePort, Slot, stopFailure } from "./slot.ts";
import type { Starting } from "./start_in_order.ts";
import type { ReleaseRecord, ReleaseState, ReleaseStatus } from "./types.ts";

/** A program without a probe must stay up this long (ms) before anybody believes that it runs. */
export const STAY = 100;

/** True for processes that belong to one release rather than to the daemon. */
export function ofRelease(process: ProcessConfig): boolean {
  if (process.policy === "service") return process.deploy_strategy === "handoff";
  return process.policy !== "singleton";
}

/** A release and its running copies. */
export class Release implements ReleaseContext {
  readonly upstreams: UpstreamSet;
  /** What each intake built for it, in the order of the intakes. */
  generations: readonly unknown[] = [];
  /** The worker pools among them. */
  pools: readonly WorkerPool[] = [];
  /** Drains of its gates once it is no longer live. */
  drainings: Draining[] = [];
  onReadiness: (() => void) | undefined;
  /** Called when a copy of the live release cannot come back because a stranger took its port. */
  onPortTaken: ((slot: Slot) => void) | undefined;
  readonly #slots = new Map<string, Slot>();
  readonly #upstreams = new Map<Slot, Upstream>();
  #config: Config;

  /**
   * @param record who it is; its state changes with the release
   * @param count how many copies of a process to run
   */
  constructor(
    readonly record: ReleaseRecord,
    config: Config,
    readonly ground: Ground,
    readonly count: (config: ProcessConfig) => number,
  ) {
    this.#config = config;
    this.upstreams = new UpstreamSet(record.release_id);
  }

  get release_id(): string {
    return this.record.release_id;
  }
  get release_path(): string {
    return this.record.release_path;
  }
  get revision(): string {
    return this.record.revision;
  }
  get state(): ReleaseState {
    return this.record.state;
  }
  get config(): Config {
    return this.#config;
  }
  get slots(): Slot[] {
    return [...this.#slots.values()];
  }

  /** Takes what the intakes built for it, in their order. */
  // deno-lint-ignore no-explicit-any -- as in Fleet
  take(intakes: readonly Intake<any>[], generations: readonly unknown[]): void {
    this.generations = generations;
    this.pools = intakes.flatMap((intake, index) => [...intake.pools(generations[index])]);
  }

  /** Moves to a state and stamps it. */
  become(state: ReleaseState): void {
    const at = stamp(this.ground.clock.wall());
    this.record.state = state;
    if (state === "active") this.record.activated_at = at;
    if (state === "draining") this.record.drain_started_at = at;
    if (state === "stopped" || state === "failed") this.record.stopped_at = at;
  }

  /** The copies of one configured process, by index. */
  copies(id: string): Slot[] {
    return this.slots.filter((slot) => slot.id === id)
      .sort((a, b) => a.place.index - b.place.index);
  }

  /** Port of each process that has one; with several copies that of the first. */
  get ports(): Map<string, number> {
    const ports = new Map<string, number>();
    for (const slot of this.#slots.values()) {
      if (slot.port !== undefined && !ports.has(slot.id)) ports.set(slot.id, slot.port);
    }
    return ports;
  }

  /**
   * Reserves all ports and makes all copies, not yet started: every copy must know every port.
   *
   * @param standing ports of services that outlive releases
   * @param not ports that strangers hold
   * @throws Failure when a port is not to be had or a template has no value; nothing is kept then
   */
  prepare(standing: ReadonlyMap<string, number>, not: ReadonlySet<number>): void {
    const places: { config: ProcessConfig; index: number; count: number; port?: number }[] = [];
    const ports = new Map(standing);
    try {
      for (const process of this.#config.processes.filter(ofRelease)) {
        const count = this.count(process);
        for (let index = 0; index < count; index++) {
          const instance = instanceId(process.id, { index, count });
          const port = this.#reserve(process, instance, not);
          places.push({ config: process, index, count, port });
          if (port !== undefined && index === 0) ports.set(process.id, port);
        }
      }
      for (const place of places) this.#add(this.#slot(place, ports));
    } catch (error) {
      for (const { port } of places) if (port !== undefined) this.ground.ports.release(port);
      for (const slot of this.slots) this.remove(slot);
      throw error;
    }
  }

  /** Starts all copies of one process on trial. */
  begin(id: string, reason: StartReason, signal: AbortSignal): Starting {
    const proven = this.copies(id).map((slot) =>
      slot.start(reason, { supervise: false, stay: STAY, signal })
    );
    const healthy = Promise.all(proven).then(() => {});
    const spawned = this.copies(id).every((slot) => slot.process.identity !== undefined);
    return { started: spawned ? Promise.resolve() : healthy, healthy };
  }

  /** @throws Failure when a copy that was proven has ended since. */
  checkAlive(): void {
    for (const { process, instance } of this.#slots.values()) {
      if (process.state === "running" && process.healthy) continue;
      const { reason, logs } = process.snapshot();
      const said = (stream: string) =>
        logs.filter((line) => line.stream === stream).map(({ line }) => line);
      throw new Failure(`"${instance}" did not stay up: ${reason ?? process.state}`, {
        fix: "look at its last output",
        detail: { process: instance, stderr: said("stderr"), stdout: said("stdout") },
      });
    }
  }

  get hopeful(): boolean {
    return this.slots.some(({ place, process }) =>
      place.config.policy === "proxied" && process.state !== "failed" && process.state !== "stopped"
    );
  }

  /** From now on nothing of it is restarted. */
  quiesce(): void {
    for (const { process } of this.#slots.values()) process.quiesce();
    for (const pool of this.pools) pool.quiesce();
  }

  /** Takes on newer settings where the process still exists in the configuration. */
  update(config: Config): void {
    this.#config = config;
    const byId = new Map(config.processes.map((process) => [process.id, process]));
    for (const slot of this.#slots.values()) {
      const process = byId.get(slot.id);
      if (process !== undefined && ofRelease(process)) slot.update(process, config);
    }
  }

  /** Stops the copies that `which` chooses, side by side. @returns what could not be stopped */
  async stop(
    which: (config: ProcessConfig) => boolean = () => true,
    options: StopOptions = {},
  ): Promise<Failure | undefined> {
    const chosen = this.slots.filter((slot) => which(slot.place.config));
    for (const slot of chosen) this.#leaveUpstreams(slot);
    const reports = await Promise.all(chosen.map((slot) => slot.stop(options)));
    return stopFailure(`release "${this.release_id}" is not wholly stopped`, reports);
  }

  /** Forgets stopped copies and pools, so that prepare() can make new ones. */
  clear(): void {
    this.#slots.clear();
    this.pools = [];
  }

  /** A new copy beside the others, not yet started (scale, rolling restart). @throws Failure */
  addCopy(
    process: ProcessConfig,
    index: number,
    count: number,
    standing: ReadonlyMap<string, number>,
  ): Slot {
    const port = this.#reserve(process, instanceId(process.id, { index, count }), new Set());
    try {
      const ports = new Map([...standing, ...this.ports]);
      return this.#slot({ config: process, index, count, port }, ports);
    } catch (error) {
      if (port !== undefined) this.ground.ports.release(port);
      throw error;
    }
  }

  /**
   * Makes a proven copy part of the release, in the place of the one with its id.
   * @returns what the replaced one still holds; undefined when it holds nothing
   */
  admit(slot: Slot): Draining | undefined {
    const old = this.#slots.get(slot.instance);
    const draining = old === undefined ? undefined : this.remove(old);
    this.#add(slot);
    return draining;
  }

  /** Takes a copy out: no new requests for it. @returns what it still holds */
  remove(slot: Slot): Draining | undefined {
    if (this.#slots.get(slot.instance) === slot) this.#slots.delete(slot.instance);
    return this.#leaveUpstreams(slot);
  }

  /** Everything about it for status. */
  status(): ReleaseStatus {
    const { lineage: _, ...record } = this.record;
    const now = this.ground.clock.now();
    const deadlines = this.drainings.map((draining) => draining.deadline)
      .filter((deadline) => deadline !== undefined);
    const connections = this.upstreams.counts;
    return {
      ...record,
      connection_count: connections.http + connections.websocket,
      connections: { ...connections },
      leases: this.drainings.reduce((sum, draining) => sum + draining.held, 0),
      ...(this.state === "draining" && deadlines.length > 0
        ? { drain_left_ms: Math.max(0, Math.round(Math.max(...deadlines) - now)) }
        : {}),
      ports: Object.fromEntries(this.ports),
      processes: this.slots.map((slot) => slot.snapshot()),
      pools: this.pools.map((pool) => pool.snapshot()),
    };
  }

  #reserve(process: ProcessConfig, instance: string, not: ReadonlySet<number>): number | undefined {
    return reservePort(this.ground, this.#config, process, instance, this.release_id, not);
  }

  #slot(
    place: { config: ProcessConfig; index: number; count: number; port?: number },
    ports: ReadonlyMap<string, number>,
  ): Slot {
    const around: Surroundings = {
      config: this.#config,
      release: this,
      env: this.ground.env,
      ports,
    };
    return new Slot(place, around, this.ground, (slot) => this.#changed(slot));
  }

  #add(slot: Slot): void {
    this.#slots.set(slot.instance, slot);
    if (slot.place.config.policy !== "proxied" || slot.port === undefined) return;
    const host = upstreamHost(this.#config);
    const upstream = new Upstream(slot.instance, host, slot.port, this.ground);
    upstream.ready = slot.process.healthy;
    this.#upstreams.set(slot, upstream);
    this.upstreams.add(upstream);
    this.onReadiness?.();
  }

  #leaveUpstreams(slot: Slot): Draining | undefined {
    const upstream = this.#upstreams.get(slot);
    if (upstream === undefined) return undefined;
    this.#upstreams.delete(slot);
    this.upstreams.remove(upstream.instance);
    const draining = upstream.retire();
    upstream.close();
    this.onReadiness?.();
    return draining;
  }

  #changed(slot: Slot): void {
    if (this.state === "active" && lostItsPort(slot)) this.onPortTaken?.(slot);
    const upstream = this.#upstreams.get(slot);
    if (upstream === undefined) return;
    if (hasEnded(slot)) upstream.ended();
    else upstream.ready = slot.process.healthy;
    this.onReadiness?.();
  }
}

/** Whether nothing of it answers any more. One that is stopping may: others of its group too. */
function hasEnded({ process }: Slot): boolean {
  return process.pid === undefined && process.state !== "stopping";
}

/** Whether a copy cannot come back where it was, and may come back elsewhere. */
function lostItsPort({ process, place }: Slot): boolean {
  if (process.state !== "backoff" || hasFixedPort(place.config)) return false;
  return process.snapshot().port_taken === true;
}
