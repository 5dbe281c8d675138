/**
 * The gate: which target is live, and who still holds the ones before it.
 *
 * Every replacement in the product is build → prove → swap → drain → drop; this file is the swap and
 * the drain. State table of one target:
 *
 * | state    | becomes live by | new leases | ends when                       |
 * | -------- | --------------- | ---------- | ------------------------------- |
 * | live     | swap(target)    | yes        | the next swap                   |
 * | draining | next swap       | no         | last lease released, or cut()   |
 * | idle     | –               | no         | forgotten                       |
 *
 * Invariants: a lease counts on the target it was given for, exactly once, however often it is
 * released; `idle` resolves exactly when the count is zero after the swap; swap() is synchronous, so
 * no arrival ever sees "between" two targets; arrivals held back go on at the next swap, at open(), at
 * their own deadline or at their own signal, whichever is first and never twice; never more than
 * MAX_WAITING of them wait; a cut reaches every holder, also one that has not set `onCut` yet and
 * those behind one that throws.
 */

import type { Clock, Timer } from "./clock.ts";

/** Arrivals that may wait behind hold() at a time; more are turned away at once. */
export const MAX_WAITING = 10_000;

/** The right to work on one target until released. `using lease = …` releases at scope end. */
export interface Lease<T> extends Disposable {
  readonly target: T;
  /** True once the target is no longer the live one. */
  readonly draining: boolean;
  /**
   * Called (at most once) when the drain is cut: end the work now. Set it right after leasing; set
   * after the cut, it is called at once (a held arrival may be cut before it runs again).
   */
  onCut: (() => void) | undefined;
  /** Gives the lease back; further calls do nothing. */
  release(): void;
}

/** What swap() hands back: the old target on its way out. */
export interface Draining {
  /** Leases still held. */
  readonly held: number;
  /** Leases that cut() took away so far; not those given back by a holder. */
  readonly wasCut: number;
  /** Resolves when no lease is held any more. */
  readonly idle: Promise<void>;
  /** When the drain will be cut: milliseconds of the gate's clock, or undefined when unbounded. */
  readonly deadline: number | undefined;
  /** Bounds the drain: cut() happens `ms` from now (Infinity: never), replacing an earlier bound. */
  within(ms: number): void;
  /** As within(), but an earlier bound stays. */
  atMost(ms: number): void;
  /** Moves an existing bound by `ms` (negative: earlier). */
  extend(ms: number): void;
  /**
   * Ends the work of every holder now; their leases are given back by themselves.
   *
   * @throws what `onCut` of a holder threw (several: AggregateError), after all others were called
   */
  cut(): void;
}

class Generation<T> implements Draining {
  readonly leases = new Set<HeldLease<T>>();
  live = true;
  wasCut = 0;
  readonly #idle = Promise.withResolvers<void>();
  #timer: Timer | undefined;
  #deadline: number | undefined;

  constructor(readonly target: T, readonly clock: Clock) {}

  get held(): number {
    return this.leases.size;
  }

  get idle(): Promise<void> {
    return this.#idle.promise;
  }

  get deadline(): number | undefined {
    return this.#deadline;
  }

  within(ms: number): void {
    this.#timer?.cancel();
    this.#deadline = ms === Infinity ? undefined : this.clock.now() + ms;
    if (this.#deadline === undefined || this.leases.size === 0) return;
    this.#timer = this.clock.timer(Math.max(0, ms), () => this.cut());
  }

  atMost(ms: number): void {
    if (this.#deadline === undefined || this.#deadline > this.clock.now() + ms) this.within(ms);
  }

  extend(ms: number): void {
    if (this.#deadline !== undefined) this.within(this.#deadline - this.clock.now() + ms);
  }

  cut(): void {
    const errors: unknown[] = [];
    for (const lease of [...this.leases]) {
      try {
        lease.cut();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, "work could not be ended");
  }

  retire(): void {
    this.live = false;
    this.settle();
  }

  settle(): void {
    if (this.live || this.leases.size > 0) return;
    this.#timer?.cancel();
    this.#idle.resolve();
  }
}

class HeldLease<T> implements Lease<T> {
  readonly #generation: Generation<T>;
  /** `cut`: given back by a cut that the holder has not heard of, as onCut was not set. */
  #state: "held" | "cut" | "released" = "held";
  #onCut: (() => void) | undefined;

  constructor(generation: Generation<T>) {
    this.#generation = generation;
    generation.leases.add(this);
  }

  get target(): T {
    return this.#generation.target;
  }

  get draining(): boolean {
    return !this.#generation.live;
  }

  get onCut(): (() => void) | undefined {
    return this.#onCut;
  }

  set onCut(end: (() => void) | undefined) {
    if (this.#state === "held") {
      this.#onCut = end;
    } else if (this.#state === "cut" && end !== undefined) {
      this.#state = "released";
      end();
    }
  }

  cut(): void {
    // A holder that was told before may have given this one back.
    if (this.#state !== "held") return;
    this.#generation.wasCut++;
    const end = this.#onCut;
    this.#giveBack(end === undefined ? "cut" : "released");
    end?.();
  }

  release(): void {
    if (this.#state === "held") this.#giveBack("released");
    else this.#state = "released"; // Who gives back after a cut has ended the work already.
  }

  #giveBack(state: "cut" | "released"): void {
    this.#state = state;
    this.#onCut = undefined;
    this.#generation.leases.delete(this);
    this.#generation.settle();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** The pointer to the live target and the count of leases on every older one. */
export class Gate<T> {
  readonly #clock: Clock;
  #live: Generation<T> | undefined;
  #holdMs: number | undefined;
  /** Lets one held arrival go on, in order of arrival. */
  readonly #waiting = new Set<() => void>();
  readonly #draining = new Set<Generation<T>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The live target, or undefined. For looking, not for working: work takes a lease. */
  get live(): T | undefined {
    return this.#live?.target;
  }

  /** The targets before it that are still held, oldest first. */
  get draining(): readonly Draining[] {
    return [...this.#draining].filter(({ held }) => held > 0);
  }

  /** Leases held on the live target. */
  get held(): number {
    return this.#live?.held ?? 0;
  }

  /** Arrivals waiting behind hold(). */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** True between hold() and open() or the next swap. */
  get holding(): boolean {
    return this.#holdMs !== undefined;
  }

  /** A lease on the live target; undefined when nothing is live or arrivals are held back. */
  lease(): Lease<T> | undefined {
    if (this.#live === undefined || this.#holdMs !== undefined) return undefined;
    return new HeldLease(this.#live);
  }

  /**
   * As lease(), but waits while arrivals are held back, at most as long as hold() said.
   *
   * @returns undefined when nothing is live, too many wait already, or the wait was in vain
   * @throws the signal's reason when the arrival itself goes away
   */
  async arrive(signal?: AbortSignal): Promise<Lease<T> | undefined> {
    signal?.throwIfAborted();
    if (this.#holdMs === undefined) return this.lease();
    if (this.#holdMs <= 0 || this.#waiting.size >= MAX_WAITING) return undefined;
    return await this.#wait(this.#holdMs, signal);
  }

  /**
   * Makes `next` live (undefined: nothing) and hands back the drain of what was live before.
   * Synchronous; ends a hold.
   */
  swap(next: T | undefined): Draining {
    const old = this.#live;
    this.#live = next === undefined ? undefined : new Generation(next, this.#clock);
    this.open();
    if (old === undefined) return nothingDraining;
    this.#draining.add(old);
    old.idle.then(() => this.#draining.delete(old));
    old.retire();
    return old;
  }

  /** From now on arrivals wait in arrive(), each at most `ms`, until open() or the next swap. */
  hold(ms: number): void {
    this.#holdMs = ms;
  }

  /** Ends a hold: everything that waits goes on, whatever happens to the gate next. */
  open(): void {
    this.#holdMs = undefined;
    for (const goOn of [...this.#waiting]) goOn();
  }

  /**
   * A lease at the next open(), undefined after `ms`. The lease is taken in the very call of open():
   * an arrival that took it later could find the gate held again or the target gone.
   */
  #wait(ms: number, signal?: AbortSignal): Promise<Lease<T> | undefined> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        timer.cancel();
        this.#waiting.delete(goOn);
        signal?.removeEventListener("abort", abort);
      };
      const goOn = () => {
        leave();
        resolve(this.lease());
      };
      const abort = () => {
        leave();
        reject(signal!.reason);
      };
      // While held lease() gives nothing, so the end of the wait and the end of the hold are one path.
      const timer = this.#clock.timer(ms, goOn);
      this.#waiting.add(goOn);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }
}

const nothingDraining: Draining = {
  held: 0,
  wasCut: 0,
  idle: Promise.resolve(),
  deadline: undefined,
  within() {},
  atMost() {},
  extend() {},
  cut() {},
};
