/**
 * N workers and a queue.
 *
 * | a request comes and …               | it …                                                    |
 * | ----------------------------------- | ------------------------------------------------------- |
 * | a worker is free                    | goes to the one that has rested longest                 |
 * | none is free                        | waits, first come first served, up to allocate_timeout  |
 * | max_queue_size wait or are answered | is refused                                              |
 * | its worker asks to be replaced      | goes to another one, before all that wait               |
 *
 * Who works here, and how they are replaced, is the matter of crew.ts.
 *
 * Invariants: every place is idle, busy or starting, every other worker stopping (looked at every tick;
 * what does not agree is told and put right); one timer for all deadlines.
 */

import { abortable, stamp, type Timer } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { RelayDoor } from "../goridge/doors.ts";
import { Haste } from "../process/haste.ts";
import { Observers } from "../process/observers.ts";
import { Alarm } from "./alarm.ts";
import { Allocator } from "./allocator.ts";
import { Call } from "./call.ts";
import type { WorkerPool } from "./contract.ts";
import { Crew } from "./crew.ts";
import type { Departure } from "./home.ts";
import { HandOut } from "./hand_out.ts";
import { roll } from "./roll.ts";
import { TurnedAway } from "./turned_away.ts";
import {
  type PoolCall,
  PoolError,
  type PoolHost,
  type PoolRequest,
  type PoolSettings,
  type PoolSnapshot,
  type PoolSpec,
  type WorkerSnapshot,
} from "./types.ts";
import type { Worker } from "./worker.ts";

/** Requests that wait at most, whatever `max_queue_size` says. */
const MAX_WAITING = 100_000;
/** Workers that may ask to be replaced instead of answering one request. */
const MAX_STOPS = 3;
/** After so much idleness a worker is asked whether it still listens, milliseconds. */
const PROBE_AFTER = 30_000;
/** Processes of a pool in debug mode at a time. */
const DEBUG_PROCESSES = 16;
/** Workers as old as this prove that starting them works, milliseconds. */
const STEADY_AFTER = 10_000;

/** A pool, not yet started. */
export function openPool(spec: PoolSpec, host: PoolHost): WorkerPool {
  return new Pool(spec, host);
}

class Pool implements WorkerPool {
  readonly plugin: string;
  readonly name: string;
  readonly release: string;
  settings: PoolSettings;
  readonly #spec: PoolSpec;
  readonly #host: PoolHost;
  readonly #debug: boolean;
  readonly #crew: Crew;
  readonly #handOut: HandOut;
  readonly #alarm: Alarm;
  readonly #allocator: Allocator;
  readonly #observers = new Observers<Pool>();
  readonly #turnedAway: TurnedAway;
  readonly #haste: Haste;
  /** Places that are configured, or were asked for. */
  #base: number;
  #requests = 0;
  #errors = 0;
  #door: Promise<RelayDoor> | undefined;
  #ticker: Timer | undefined;
  #failing = false;
  #rolling: Promise<number> | undefined;
  #destroyed: Promise<number[]> | undefined;
  #over = false;

  constructor(spec: PoolSpec, host: PoolHost) {
    this.#spec = spec;
    this.#host = host;
    this.plugin = spec.plugin;
    this.name = spec.name;
    this.release = spec.release;
    this.settings = spec.settings;
    this.#debug = spec.settings.debug;
    this.#base = spec.settings.num_workers;
    this.#crew = new Crew(spec, host, this);
    this.#crew.fleeting = this.#debug;
    this.#alarm = new Alarm(host.clock, (now) => this.#look(now));
    this.#haste = new Haste(host.clock);
    this.#handOut = new HandOut(host.clock);
    const { name: pool, release } = spec;
    const settings = () => this.settings;
    this.#allocator = new Allocator(this.#crew, settings, { pool, release }, host.emit);
    this.#turnedAway = new TurnedAway((requests, reason) =>
      host.emit("pool_exhausted", { pool, release, requests, reason })
    );
  }

  get clock() {
    return this.#host.clock;
  }

  get alive(): number {
    return this.#crew.alive;
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#host.signal.throwIfAborted();
    this.#host.signal.addEventListener("abort", this.#abandon);
    const count = this.#debug ? 0 : this.#base;
    const filled = this.#crew.grow(count, "start").map(({ filled }) => filled);
    try {
      await abortable(Promise.all(filled), signal);
    } catch (error) {
      this.hurry(0);
      await this.destroy();
      throw error;
    }
    this.#crew.supervised = true;
    this.#crew.tend();
    this.#tick();
    this.changed();
  }

  call(request: PoolRequest): PoolCall {
    const now = this.clock.now();
    const { max_queue_size, allocate_timeout } = this.settings;
    const call = new Call(request, this, now, now + allocate_timeout);
    this.#requests++;
    const waiting = this.#handOut.queue.size;
    if (this.#destroyed !== undefined) this.#refuse(call, "destroyed", "the pool is stopped");
    else if (max_queue_size > 0 && waiting + this.#handOut.busy >= max_queue_size) {
      this.#refuse(call, "queue_full", `${max_queue_size} requests wait or are answered already`);
    } else if (waiting >= MAX_WAITING) {
      this.#refuse(call, "queue_full", `${waiting} requests wait already`);
    } else if (this.#hopeless()) this.#refuse(call, "no_worker", "no worker is left");
    else this.#serve(call, now);
    return call;
  }

  async reset(signal: AbortSignal): Promise<number> {
    this.#mustRun("reset");
    const started = () => roll(this.#crew, this.clock.now());
    this.#rolling ??= started().finally(() => this.#rolling = undefined);
    return await abortable(this.#rolling, signal);
  }

  async resize(count: number, signal: AbortSignal): Promise<void> {
    this.#mustRun("resized");
    const more = count - this.#base;
    this.#base = count;
    if (more < 0) this.#crew.shrink(-more);
    if (more <= 0) return;
    const added = this.#crew.grow(more, "scale");
    try {
      await abortable(Promise.all(added.map(({ filled }) => filled)), signal);
    } catch (error) {
      this.#base -= more;
      this.#crew.shrink(more, added.map(({ slot }) => slot));
      throw error;
    }
  }

  update(settings: PoolSettings): void {
    this.settings = settings;
    this.#crew.tend();
  }

  quiesce(): void {
    this.#crew.quiesce();
    this.changed();
  }

  destroy(): Promise<number[]> {
    this.#destroyed ??= this.#destroy();
    return this.#destroyed;
  }

  hurry(ms: number): void {
    this.#haste.hurry(ms);
    for (const worker of this.#crew.workers()) worker.process.haste.hurry(ms);
  }

  onChange(listener: () => void): () => void {
    return this.#observers.add(listener);
  }

  snapshot(): PoolSnapshot {
    const { slots, leavers, pace } = this.#crew;
    const workers = slots.map(({ worker }) => worker);
    const state = this.#state();
    const wait = pace.until - this.clock.now();
    const troubled = state === "failing" || state === "degraded";
    return {
      plugin: this.plugin,
      pool: this.name,
      release_id: this.release,
      state,
      ...(troubled && pace.trouble !== undefined && { reason: pace.trouble }),
      ...(troubled && wait > 0 && { next_try_at: stamp(this.clock.wall() + wait) }),
      target: slots.length,
      idle: workers.filter((worker) => worker?.free).length,
      busy: workers.filter((worker) => worker?.busy).length,
      starting: workers.filter((worker) => worker === undefined).length,
      stopping: leavers.size,
      queue: this.#handOut.queue.size,
      requests: this.#requests,
      errors: this.#errors,
      no_free_workers: this.#turnedAway.total,
      replaced: { ...this.#crew.replaced },
      queue_wait_ms: this.#handOut.queue.waits(),
    };
  }

  workers(): WorkerSnapshot[] {
    const { system } = this.#host;
    return Array.from(
      this.#crew.workers(),
      (worker) => worker.snapshot(this.#spec, system.row(worker.ownPid)),
    );
  }

  // What calls ask of it.

  left(call: Call): void {
    this.#handOut.queue.delete(call);
  }

  again(call: Call): boolean {
    if (++call.stops > MAX_STOPS || this.#hopeless()) return false;
    const now = this.clock.now();
    call.since = now;
    call.deadline = now + this.settings.allocate_timeout;
    this.#serve(call, now, true);
    return true;
  }

  refused({ kind, message }: PoolError): void {
    this.#errors++;
    if (kind !== "no_worker" && kind !== "queue_full") return;
    this.#turnedAway.count(message, this.clock.now());
  }

  // What workers ask of it.

  get maxJobs(): number {
    if (this.#debug) return 1;
    // Nobody would take the place: better an old worker than none.
    return this.#crew.quiesced ? 0 : this.settings.max_jobs;
  }

  offer(worker: Worker): void {
    if (!this.#handOut.offer(worker) && this.#debug) this.#crew.dismiss(worker);
  }

  withdraw(worker: Worker): void {
    this.#handOut.withdraw(worker);
  }

  served(worker: Worker): void {
    if (this.#crew.pace.trouble === undefined) return;
    this.#crew.pace.served(worker.process.startedAt);
    this.changed();
  }

  lastJob(worker: Worker): void {
    if (this.#debug) return;
    const slot = this.#crew.slotOf(worker);
    if (slot !== undefined) this.#crew.wish(slot, { why: "max_jobs", since: this.clock.now() });
  }

  parted(worker: Worker): void {
    this.#crew.parted(worker);
  }

  failed(worker: Worker, how: Departure, error: string, doing: string | undefined): void {
    const { name: pool, release } = this;
    const { instance, pid } = worker;
    this.#host.emit("worker_failed", { pool, release, worker: instance, pid, how, error, doing });
  }

  ending(worker: Worker): void {
    this.#handOut.withdraw(worker);
    this.#crew.tend();
  }

  gone(worker: Worker, survivors: number[]): void {
    this.#crew.gone(worker, survivors);
    if (this.#debug) this.#demand();
  }

  due(at: number): void {
    this.#alarm.by(at);
  }

  // What the crew asks of it.

  async door(): Promise<RelayDoor | undefined> {
    const { relay, identity } = this.#spec.worker;
    if (relay === "pipes") return undefined;
    this.#door ??= Promise.resolve(this.#host.doors.open(relay, identity));
    try {
      return await this.#door;
    } catch (error) {
      this.#door = undefined; // the next attempt tries again
      throw error;
    }
  }

  unfilled(_slot: unknown, error: unknown): void {
    if (!this.#debug) return;
    const call = this.#handOut.queue.shift();
    if (call !== undefined) this.#refuse(call, "no_worker", messageOf(error));
  }

  changed(): void {
    if (this.#hopeless()) {
      for (const call of this.#handOut.queue.clear()) {
        this.#refuse(call, "no_worker", "no worker is left");
      }
    }
    const state = this.#state();
    const { alive, name: pool, release } = this;
    const { pace, slots: { length: target } } = this.#crew;
    const failing = pace.trouble !== undefined && (state === "failing" || state === "degraded");
    if (failing && !this.#failing) {
      const reason = pace.trouble!;
      const next_try_ms = Math.max(0, Math.round(pace.until - this.clock.now()));
      this.#host.emit("pool_failing", { pool, release, alive, target, reason, next_try_ms });
    } else if (this.#failing && state === "ready") {
      this.#host.emit("pool_recovered", { pool, release, alive });
    }
    this.#failing = failing || this.#failing && state !== "ready";
    this.#observers.tell(this, `${state} ${alive > 0}`, (error) => this.#bug("a listener", error));
  }

  // Handing out.

  #serve(call: Call, now: number, returned = false): void {
    if (this.#handOut.serve(call, returned)) return;
    this.#alarm.by(call.deadline);
    this.#alarm.by(this.#allocator.waits(now));
    if (this.#debug) this.#demand();
  }

  #refuse(call: Call, kind: "destroyed" | "queue_full" | "no_worker", why: string): void {
    call.refuse(new PoolError(kind, `pool "${this.name}": ${why}`));
  }

  /** Debug mode: a fresh process for each request that waits. */
  #demand(): void {
    if (this.#destroyed !== undefined || this.#crew.quiesced) return;
    const { slots, leavers } = this.#crew;
    const room = DEBUG_PROCESSES - slots.length - leavers.size;
    const starting = slots.filter(({ worker }) => worker === undefined).length;
    const count = Math.min(this.#handOut.queue.size - starting, room);
    if (count <= 0) return;
    // Whoever waits is told by unfilled().
    for (const { filled } of this.#crew.grow(count, "debug")) filled.catch(() => {});
  }

  /** Nobody is there, and nobody will come. */
  #hopeless(): boolean {
    return this.#crew.quiesced && this.alive === 0 && this.#crew.hiring === 0;
  }

  // Time.

  /** Does what is due. @returns when to look again */
  #look(now: number): number {
    for (const call of this.#handOut.queue.expired(now)) {
      const { trouble } = this.#crew.pace;
      const why = trouble === undefined ? "" : `; the last one failed: ${trouble}`;
      const limit = formatDuration(this.settings.allocate_timeout);
      this.#refuse(call, "no_worker", `no worker became free within ${limit}${why}`);
    }
    let next = this.#handOut.queue.deadline;
    for (const worker of [...this.#crew.workers()]) {
      if (worker.deadline <= now) worker.look(now);
      next = Math.min(next, worker.deadline);
    }
    return Math.min(next, this.#allocator.look(this.#handOut.queue.first, now));
  }

  /** Limits, self-probes, fewer workers, and whether all agrees. */
  #tick(): void {
    if (this.#destroyed !== undefined) return;
    const now = this.clock.now();
    this.#ticker = this.clock.timer(this.settings.supervisor.watch_tick, () => this.#tick());
    if (!this.#crew.quiesced) this.#inspect(now);
    this.#allocator.tick(now);
    this.#turnedAway.flush(now);
    this.#verify();
  }

  #inspect(now: number): void {
    const { system } = this.#host;
    let probes = Math.ceil(this.#crew.slots.length / 4);
    let steady = true;
    for (const slot of this.#crew.slots) {
      const { worker } = slot;
      steady &&= worker !== undefined && now - worker.process.startedAt >= STEADY_AFTER;
      if (worker === undefined) continue;
      const why = worker.inspect(system.row(worker.ownPid));
      if (why !== undefined) this.#crew.wish(slot, { why, since: now });
      if (!worker.free || now - worker.restingSince < PROBE_AFTER || probes-- <= 0) continue;
      this.#handOut.withdraw(worker);
      worker.probe();
    }
    if (!steady || this.#crew.pace.trouble === undefined) return;
    this.#crew.pace.forgive();
    this.changed();
  }

  /** What does not agree is a bug. */
  #verify(): void {
    const workers = this.#crew.slots.map(({ worker }) => worker);
    const wrong = this.#handOut.verify(workers.filter((worker) => worker?.free) as Worker[]);
    if (wrong !== undefined) this.#bug("the accounts of a pool", new Error(wrong));
  }

  // Its end.

  readonly #abandon = (): void => {
    this.hurry(0);
    this.quiesce();
    this.#ticker?.cancel();
    this.#alarm.close();
  };

  async #destroy(): Promise<number[]> {
    // Whoever asks in this very turn shall find it stopped.
    await Promise.resolve();
    this.#ticker?.cancel();
    for (const call of this.#handOut.queue.clear()) {
      this.#refuse(call, "destroyed", "it is being stopped");
    }
    const hired = this.#crew.close();
    this.changed();
    const leavers = [...this.#crew.leavers];
    const answered = () => Promise.all(leavers.map((worker) => worker.ending));
    await this.#haste.wait("stop", this.settings.destroy_timeout, answered);
    for (const worker of leavers) worker.destroy("destroyed", "the pool was stopped");
    await hired;
    await Promise.all(Array.from(this.#crew.leavers, (worker) => worker.gone));
    (await this.#door)?.close();
    this.#alarm.close();
    this.#host.signal.removeEventListener("abort", this.#abandon);
    this.#over = true;
    this.changed();
    return this.#crew.survivors;
  }

  #mustRun(what: string): void {
    if (this.#crew.supervised && !this.#crew.quiesced && this.#destroyed === undefined) return;
    throw new Failure(`the pool "${this.name}" cannot be ${what}: it is not in use`);
  }

  #state(): PoolSnapshot["state"] {
    if (this.#over) return "stopped";
    const { quiesced, supervised, pace, slots } = this.#crew;
    if (quiesced || this.#destroyed !== undefined) return "draining";
    if (!supervised) return "starting";
    if (this.#debug) return "ready";
    const troubled = pace.trouble !== undefined;
    if (this.alive === 0 && slots.length > 0) return troubled ? "failing" : "degraded";
    // Workers that start well and then fail have yet to show that they can do anything.
    return troubled ? "degraded" : "ready";
  }

  #bug(where: string, error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined;
    this.#host.emit("internal_error", { where, error: messageOf(error), stack });
  }
}
