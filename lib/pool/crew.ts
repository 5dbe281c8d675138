/**
 * The workers of a pool and their replacement: one algorithm for every reason.
 *
 * | the worker …                         | its successor is started        | it goes                      |
 * | ------------------------------------ | ------------------------------- | ---------------------------- |
 * | is to be replaced (reset, ttl, idle, | within `max_surge`; it works on | when the successor is proven |
 * | memory, its last job has begun)      |                                 | and its answer is out        |
 * | gave up its place (crash, max_jobs,  | at once                         | has begun to                 |
 * | stop answer, exec_ttl, deaf)         |                                 |                              |
 * | is too many (resize, scaling)        | –                               | when its answer is out       |
 *
 * Invariants: no more than `max_surge` workers are alive beyond the places because of wishes; a vacant
 * place is filled for ever, at the pace of pace.ts; while unsupervised (start) a failure is final;
 * after close() nobody is hired, and who was being hired is sent away.
 */

import { type Clock, sleep, type Timer } from "../core/clock.ts";
import { Failure, messageOf } from "../core/failure.ts";
import { hire } from "./hire.ts";
import type { WorkerHome } from "./home.ts";
import { Pace } from "./pace.ts";
import { SharedDoor } from "./shared_door.ts";
import { type Attempt, type Reason, Slot, type Wish } from "./slot.ts";
import type { PoolHost, PoolSpec } from "./types.ts";
import type { Worker } from "./worker.ts";

/** What a crew asks of its pool. */
export interface CrewHome extends WorkerHome {
  /** Who works, or how many, may have changed. */
  changed(): void;
  /** An attempt failed; `slot` is as it was. */
  unfilled(slot: Slot, error: unknown): void;
}

/** Reasons for a worker where there was none. */
const ADDED: ReadonlySet<Reason> = new Set<Reason>(["start", "scale", "debug"]);
/** Processes of a pool in debug mode at a time. */
const FLEETING = 16;

/** See the file's comment. */
export class Crew {
  slots: Slot[] = [];
  /** Who has no place any more and is not gone. */
  readonly leavers = new Set<Worker>();
  readonly pace = new Pace();
  /** Replacements so far, by reason. */
  readonly replaced: Partial<Record<Reason, number>> = {};
  /** Who outlived SIGKILL. */
  readonly survivors: number[] = [];
  /** Vacant places are filled. */
  supervised = false;
  /** A place is gone with its worker. */
  fleeting = false;
  #quiesced = false;
  #closed = false;
  readonly #spec: PoolSpec;
  readonly #host: PoolHost;
  readonly #home: CrewHome;
  readonly #clock: Clock;
  readonly #door: SharedDoor;
  readonly #attempts = new Set<Promise<void>>();
  #timer: Timer | undefined;

  constructor(spec: PoolSpec, host: PoolHost, home: CrewHome) {
    this.#spec = spec;
    this.#host = host;
    this.#home = home;
    this.#clock = host.clock;
    this.#door = new SharedDoor(spec.worker, host);
  }

  get quiesced(): boolean {
    return this.#quiesced;
  }

  /** Nobody is there, and nobody will come. */
  get deserted(): boolean {
    return this.#quiesced && this.alive === 0 && this.#attempts.size === 0;
  }

  /** Workers that take requests, or have one. */
  get alive(): number {
    let count = 0;
    for (const { worker } of this.slots) if (worker !== undefined) count++;
    return count;
  }

  /** Places and who is where: each is idle, busy or starting; all others are stopping. */
  census() {
    const workers = this.slots.map(({ worker }) => worker);
    return {
      target: this.slots.length,
      idle: workers.filter((worker) => worker?.free).length,
      busy: workers.filter((worker) => worker?.busy).length,
      starting: workers.filter((worker) => worker === undefined).length,
      stopping: this.leavers.size,
    };
  }

  /** Everybody who is not gone. */
  *workers(): Generator<Worker> {
    for (const { worker } of this.slots) if (worker !== undefined) yield worker;
    yield* this.leavers;
  }

  /** More places. @returns for each when it is filled, or the attempt failed */
  grow(count: number, why: Reason): { slot: Slot; filled: Promise<void> }[] {
    const added = Array.from({ length: count }, () => {
      const slot = new Slot(this.#freeIndex(), why);
      this.slots.push(slot);
      const filled = slot.filled.add();
      this.#fill(slot, why);
      return { slot, filled };
    });
    this.#home.changed();
    return added;
  }

  /** Fewer places: vacant ones, then idle ones, then busy ones; of `among`, if given. */
  shrink(count: number, among: readonly Slot[] = this.slots): void {
    const order = (slot: Slot) => slot.worker === undefined ? 0 : slot.worker.free ? 1 : 2;
    const chosen = [...among].reverse().sort((a, b) => order(a) - order(b)).slice(0, count);
    for (const slot of chosen) this.#remove(slot);
    this.#home.changed();
  }

  /** The worker of a place shall be replaced, unless that is under way. */
  wish(slot: Slot, wish: Wish): void {
    if (wish.why === "reset") {
      slot.wish?.done?.resolve();
      slot.wish = wish;
    } else slot.wish ??= wish;
    this.tend();
  }

  /** Debug mode: a place, and so a fresh process, for each request that waits. */
  demand(waiting: number): void {
    if (this.#quiesced || this.#closed) return;
    const room = FLEETING - this.slots.length - this.leavers.size;
    const count = Math.min(waiting - this.census().starting, room);
    // Whoever waits is told by unfilled().
    for (const { filled } of count > 0 ? this.grow(count, "debug") : []) filled.catch(() => {});
  }

  /** A worker is not needed, nor is its place. */
  dismiss(worker: Worker): void {
    const slot = this.slotOf(worker);
    if (slot !== undefined) this.#remove(slot);
  }

  slotOf(worker: Worker): Slot | undefined {
    return this.slots.find((slot) => slot.worker === worker);
  }

  /** A worker gave up its place. */
  parted(worker: Worker): void {
    const slot = this.slotOf(worker);
    this.leavers.add(worker);
    if (slot === undefined) return;
    slot.worker = undefined;
    slot.vacantBy = worker.departure;
    if (slot.wish?.why !== "reset") slot.wish = undefined;
    const { departure, served, process } = worker;
    // Who has served is replaced at once, whatever it died of.
    if (served === 0 && departure !== "exec_ttl" && departure !== "max_jobs") {
      const trouble = worker.trouble ?? "the worker asked to be replaced before it had answered";
      this.pace.failed(process.startedAt, trouble, this.#clock.now());
    }
    if (this.fleeting) this.#remove(slot);
    this.tend();
    this.#home.changed();
  }

  /** Nothing is left of a worker. */
  gone(worker: Worker, survivors: number[]): void {
    this.leavers.delete(worker);
    this.survivors.push(...survivors);
    this.tend();
  }

  /** Starts who is wanted, as far as it may be now. */
  tend(): void {
    if (!this.supervised || this.#quiesced || this.#closed) return;
    const now = this.#clock.now();
    if (now < this.pace.until) return this.#later(this.pace.until - now);
    for (const slot of this.slots) {
      if (slot.worker !== undefined || slot.attempt !== undefined) continue;
      if (!this.#mayTry()) return;
      this.#fill(slot, slot.vacantBy);
    }
    let extra = this.#extra();
    for (const slot of this.slots) {
      if (slot.wish === undefined || slot.attempt !== undefined) continue;
      if (extra >= this.#home.settings.max_surge || !this.#mayTry()) return;
      this.#fill(slot, slot.wish.why);
      extra++;
    }
  }

  /** Nobody new is started, but who is being started may come. */
  quiesce(): void {
    this.#quiesced = true;
    this.#timer?.cancel();
    for (const slot of this.slots) this.#refuseWish(slot);
  }

  /** Everybody leaves, nobody comes. Resolves when nobody is on the way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    for (const slot of [...this.slots]) this.#remove(slot);
    await Promise.all(this.#attempts);
    await this.#door.close();
  }

  /** One at a time while starts fail. */
  #mayTry(): boolean {
    return !this.pace.trying || this.#attempts.size === 0;
  }

  /** Who is alive, or about to be, beyond the places. */
  #extra(): number {
    let count = 0;
    for (const { worker, attempt } of this.slots) if (worker && attempt) count++;
    for (const worker of this.leavers) if (worker.busy) count++;
    return count;
  }

  #later(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.timer(ms, () => this.tend());
  }

  #remove(slot: Slot): void {
    this.slots = this.slots.filter((other) => other !== slot);
    const { worker, attempt } = slot;
    slot.worker = undefined;
    attempt?.abort.abort(gone(this.#spec));
    this.#refuseWish(slot);
    if (worker === undefined) return;
    this.leavers.add(worker);
    worker.leave();
  }

  #refuseWish(slot: Slot): void {
    const { wish } = slot;
    slot.wish = undefined;
    if (this.#closed || this.#quiesced) wish?.done?.reject(gone(this.#spec));
    else wish?.done?.resolve();
  }

  #fill(slot: Slot, why: Reason): void {
    const now = this.#clock.now();
    const attempt = { why, abort: new AbortController(), since: this.pace.turn(now) };
    slot.attempt = attempt;
    const work: Promise<void> = this.#hire(slot, attempt).then(
      (worker) => this.#hired(slot, attempt, worker),
      (error) => this.#notHired(slot, attempt, error),
    ).finally(() => {
      this.#attempts.delete(work);
      this.tend();
      this.#home.changed();
    });
    this.#attempts.add(work);
  }

  async #hire(slot: Slot, { abort: { signal }, since }: Attempt): Promise<Worker> {
    const wait = since - this.#clock.now();
    if (wait > 0) await sleep(this.#clock, wait, signal);
    const door = await this.#door.open();
    const instance = `${this.#spec.name}#${slot.index}`;
    return await hire({
      spec: this.#spec,
      instance,
      host: this.#host,
      home: this.#home,
      door,
      signal,
    });
  }

  #hired(slot: Slot, attempt: Attempt, worker: Worker): void {
    slot.attempt = undefined;
    if (worker.ended) return this.#notHired(slot, attempt, new Failure(worker.trouble!));
    if (attempt.abort.signal.aborted) {
      this.leavers.add(worker);
      worker.leave();
      return slot.filled.reject(attempt.abort.signal.reason);
    }
    this.pace.proved();
    const old = slot.worker;
    const { wish } = slot;
    slot.worker = worker;
    if (wish !== undefined && attempt.since >= wish.since) {
      slot.wish = undefined;
      wish.done?.resolve();
    }
    const { why } = attempt;
    if (!ADDED.has(why)) this.replaced[why] = (this.replaced[why] ?? 0) + 1;
    const { name: pool, release } = this.#spec;
    const { instance, pid, process: { upMs: ms } } = worker;
    this.#host.emit("worker_ready", { pool, release, worker: instance, pid, reason: why, ms });
    if (old !== undefined) {
      this.leavers.add(old);
      old.leave();
    }
    worker.proven();
    slot.filled.resolve();
  }

  #notHired(slot: Slot, attempt: Attempt, error: unknown): void {
    slot.attempt = undefined;
    if (attempt.abort.signal.aborted) return slot.filled.reject(error);
    this.pace.failed(attempt.since, messageOf(error), this.#clock.now());
    // The command line may hold secrets, and events go to logs.
    const { fix, detail: all } = error instanceof Failure ? error : {};
    const { argv: _, ...detail } = all ?? {};
    const { name: pool, release } = this.#spec;
    const worker = `${pool}#${slot.index}`;
    const why = { error: messageOf(error), ...(fix !== undefined && { fix }) };
    const facts = { pool, release, worker, ...why, detail };
    this.#host.emit("worker_start_failed", facts);
    const { wish } = slot;
    if (wish?.done !== undefined && attempt.since >= wish.since) {
      slot.wish = undefined;
      wish.done.reject(error);
    }
    slot.filled.reject(error);
    this.#home.unfilled(slot, error);
  }

  #freeIndex(): number {
    const taken = new Set(this.slots.map(({ index }) => index));
    let index = 0;
    while (taken.has(index)) index++;
    return index;
  }
}

function gone({ name }: PoolSpec): Failure {
  return new Failure(`the pool "${name}" is being stopped`);
}
