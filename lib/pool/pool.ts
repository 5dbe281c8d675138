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
import { Haste } from "../process/haste.ts";
import { Alarm } from "./alarm.ts";
import { Allocator } from "./allocator.ts";
import { Call, unsendable } from "./call.ts";
import type { WorkerPool } from "./contract.ts";
import { Crew } from "./crew.ts";
import { HandOut } from "./hand_out.ts";
import { Health } from "./health.ts";
import type { Departure } from "./home.ts";
import { Manners } from "./manners.ts";
import { type Roll, roll } from "./roll.ts";
import { TurnedAway } from "./turned_away.ts";
import {
  type PoolCall,
  PoolError,
  type PoolErrorKind,
  type PoolHost,
  type PoolRequest,
  type PoolSettings,
  type PoolSnapshot,
  type PoolSpec,
  type WorkerSnapshot,
} from "./types.ts";
import { audit, inspect } from "./upkeep.ts";
import type { Worker } from "./worker.ts";
import { workerSnapshot } from "./worker_snapshot.ts";

/** Requests that wait at most, whatever `max_queue_size` says. */
const MAX_WAITING = 100_000;
/** Workers that may ask to be replaced instead of answering one request. */
const MAX_STOPS = 3;

/** A pool, not yet started. */
export function openPool(spec: PoolSpec, host: PoolHost): WorkerPool {
  return new Pool(spec, host);
}

class Pool implements WorkerPool {
  readonly plugin: string;
  readonly name: string;
  readonly release: string;
  settings: PoolSettings;
  readonly manners: Manners;
  readonly #spec: PoolSpec;
  readonly #host: PoolHost;
  readonly #debug: boolean;
  readonly #crew: Crew;
  readonly #handOut: HandOut;
  readonly #alarm: Alarm;
  readonly #allocator: Allocator;
  readonly #health: Health;
  readonly #turnedAway: TurnedAway;
  readonly #haste: Haste;
  /** Places that are configured, or were asked for. */
  #base: number;
  #requests = 0;
  #errors = 0;
  #ticker: Timer | undefined;
  #rolling: Roll | undefined;
  #destroyed: Promise<number[]> | undefined;

  constructor(spec: PoolSpec, host: PoolHost) {
    this.#spec = spec;
    this.#host = host;
    this.plugin = spec.plugin;
    this.name = spec.name;
    this.release = spec.release;
    this.settings = spec.settings;
    this.#debug = spec.settings.debug;
    this.#base = spec.settings.num_workers;
    const { clock, emit } = host;
    this.#crew = new Crew(spec, host, this);
    this.#crew.fleeting = this.#debug;
    this.#alarm = new Alarm(clock, (now) => this.#look(now));
    this.#haste = new Haste(clock);
    this.#handOut = new HandOut(clock);
    this.manners = new Manners(() => emit("pool_plain", name));
    const name = { pool: spec.name, release: spec.release };
    this.#health = new Health({ clock, emit, name, crew: this.#crew, debug: this.#debug });
    this.#allocator = new Allocator(this.#crew, () => this.settings, name, emit);
    this.#turnedAway = new TurnedAway((requests, reason) =>
      emit("pool_exhausted", { ...name, requests, reason })
    );
  }

  get clock() {
    return this.#host.clock;
  }

  get #ended(): boolean {
    return this.#health.end !== "none";
  }

  get alive(): number {
    return this.#crew.alive;
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#host.signal.throwIfAborted();
    this.#host.signal.addEventListener("abort", this.#abandon);
    const places = this.#crew.grow(this.#debug ? 0 : this.#base, "start");
    try {
      await abortable(Promise.all(places.map(({ filled }) => filled)), signal);
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
    const wrong = unsendable(request);
    if (this.#ended) this.#refuse(call, "destroyed", "the pool is stopped");
    else if (max_queue_size > 0 && waiting + this.#handOut.busy >= max_queue_size) {
      this.#refuse(call, "queue_full", `${max_queue_size} requests wait or are answered already`);
    } else if (waiting >= MAX_WAITING) {
      this.#refuse(call, "queue_full", `${waiting} requests wait already`);
    } else if (this.#crew.deserted) this.#refuse(call, "no_worker", "no worker is left");
    else if (wrong !== undefined) this.#refuse(call, "broken", wrong);
    else this.#serve(call, now);
    return call;
  }

  async reset(signal: AbortSignal, rested?: () => void): Promise<number> {
    this.#mustRun("reset");
    const { settings, clock } = this;
    if (this.#rolling?.over !== false) this.#rolling = roll(this.#crew, settings, clock.now());
    this.#rolling.rested.then(rested);
    return await abortable(this.#rolling.done, signal);
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
    if (this.#destroyed !== undefined) return this.#destroyed;
    const { promise, resolve, reject } = Promise.withResolvers<number[]>();
    this.#destroyed = promise;
    this.#destroy().then(resolve, reject);
    return promise;
  }

  hurry(ms: number): void {
    this.#haste.hurry(ms);
    for (const worker of this.#crew.workers()) worker.process.haste.hurry(ms);
  }

  onChange(listener: () => void): () => void {
    return this.#health.onChange(listener);
  }

  snapshot(): PoolSnapshot {
    const { pace } = this.#crew;
    const { state } = this.#health;
    const wait = pace.until - this.clock.now();
    const troubled = state === "failing" || state === "degraded";
    return {
      plugin: this.plugin,
      pool: this.name,
      release_id: this.release,
      state,
      ...(troubled && pace.trouble !== undefined && { reason: pace.trouble }),
      ...(troubled && wait > 0 && { next_try_at: stamp(this.clock.wall() + wait) }),
      ...this.#crew.census(),
      queue: this.#handOut.queue.size,
      requests: this.#requests,
      errors: this.#errors,
      no_free_workers: this.#turnedAway.total,
      replaced: { ...this.#crew.replaced },
      queue_wait_ms: this.#handOut.queue.waits(),
    };
  }

  workers(): WorkerSnapshot[] {
    const { system, clock } = this.#host;
    const shown = (worker: Worker) =>
      workerSnapshot(worker, this.#spec, system.row(worker.ownPid), clock.now());
    return Array.from(this.#crew.workers(), shown);
  }

  // What calls ask of it.

  left(call: Call): void {
    this.#handOut.queue.delete(call);
  }

  again(call: Call): boolean {
    if (++call.stops > MAX_STOPS || this.#ended || this.#crew.deserted) return false;
    const now = call.since = this.clock.now();
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
    this.manners.served(worker.asks);
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
    if (this.#debug) this.#crew.demand(this.#handOut.queue.size);
  }

  due(at: number): void {
    this.#alarm.by(at);
  }

  // What the crew asks of it.

  unfilled(_slot: unknown, error: unknown): void {
    if (!this.#debug) return;
    const call = this.#handOut.queue.shift();
    if (call !== undefined) this.#refuse(call, "no_worker", messageOf(error));
  }

  changed(): void {
    if (this.#crew.deserted) {
      const waiting = this.#handOut.queue.clear();
      for (const call of waiting) this.#refuse(call, "no_worker", "no worker is left");
    }
    this.#health.look();
  }

  // Handing out.

  #serve(call: Call, now: number, returned = false): void {
    if (this.#handOut.serve(call, returned)) return;
    this.#alarm.by(call.deadline);
    this.#alarm.by(this.#allocator.waits(now));
    if (this.#debug) this.#crew.demand(this.#handOut.queue.size);
  }

  #refuse(call: Call, kind: PoolErrorKind, why: string): void {
    call.refuse(new PoolError(kind, `pool "${this.name}": ${why}`));
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
    if (this.#ended) return;
    const now = this.clock.now();
    this.#ticker = this.clock.timer(this.settings.supervisor.watch_tick, () => this.#tick());
    if (inspect(this.#crew, this.#handOut, this.#host.system, this.clock)) this.changed();
    this.#allocator.tick(now);
    this.#turnedAway.flush(now);
    const wrong = audit(this.#crew, this.#handOut);
    if (wrong !== undefined) {
      this.#host.emit("internal_error", { where: "the accounts of a pool", error: wrong });
    }
  }

  // Its end.

  readonly #abandon = (): void => {
    this.hurry(0);
    this.quiesce();
    this.#ticker?.cancel();
    this.#alarm.close();
  };

  async #destroy(): Promise<number[]> {
    this.#health.end = "begun";
    this.#ticker?.cancel();
    const waiting = this.#handOut.queue.clear();
    for (const call of waiting) this.#refuse(call, "destroyed", "it is being stopped");
    const hired = this.#crew.close();
    this.changed();
    const leavers = [...this.#crew.leavers];
    const answered = () => Promise.all(leavers.map((worker) => worker.ending));
    await this.#haste.wait("stop", this.settings.destroy_timeout, answered);
    for (const worker of leavers) worker.destroy("destroyed", "the pool was stopped");
    await hired;
    await Promise.all(Array.from(this.#crew.leavers, (worker) => worker.gone));
    this.#alarm.close();
    this.#host.signal.removeEventListener("abort", this.#abandon);
    this.#health.end = "over";
    this.changed();
    return this.#crew.survivors;
  }

  #mustRun(what: string): void {
    if (this.#crew.supervised && !this.#crew.quiesced && !this.#ended) return;
    throw new Failure(`the pool "${this.name}" cannot be ${what}: it is not in use`);
  }
}
