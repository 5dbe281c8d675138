/**
 * What the gate must do, said again in the plainest way: lists, counts, and no promise, no timer.
 *
 * Invariant: the model never asks the gate what happened; it decides by itself and compares. Each
 * event is done to the model first and to the gate right after.
 */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { type Draining, Gate, type Lease } from "../../../lib/core/gate.ts";
import type { CountedSignal } from "../../kit/counted_signal.ts";
import { ManualClock, turn } from "../../kit/manual_clock.ts";
import type { Random } from "../../kit/random.ts";

/** One target while and after it is live. */
interface Era {
  name: string;
  live: boolean;
  held: Set<Work>;
  /** What swap() handed back; undefined while live. */
  drain?: Draining;
  deadline?: number;
  /** Leases that a cut took away. */
  wasCut: number;
  /** Set by the real `idle`. */
  idle: boolean;
}

/** Holders that are told to end: do nothing, give back twice, give back every other, come again. */
const HABITS = ["quiet", "release", "others", "again"] as const;
type Habit = typeof HABITS[number];

/** One lease and what its holder saw. */
interface Work {
  era: Era;
  /** Times the holder must have been told to end. */
  cuts: number;
  /** Times it was told. */
  told: number;
  /** What the holder does when told; undefined: it has not set onCut. */
  habit?: Habit;
  /** The drain was cut before the holder listened. */
  cutUnheard: boolean;
  /** Undefined until the promise of the arrival has delivered it. */
  lease?: Lease<string>;
}

/** One call of arrive(). */
interface Arrival {
  /** When its wait ends; undefined: it does not wait (any more). */
  end?: number;
  signal?: CountedSignal;
  expected: Work | "nothing" | "gone" | "waits";
  seen: Lease<string> | "nothing" | "gone" | "waits";
}

/** The gate and its model, moved together. */
export class Twin {
  readonly clock = new ManualClock();
  readonly gate = new Gate<string>(this.clock);
  readonly eras: Era[] = [];
  readonly works: Work[] = [];
  readonly arrivals: Arrival[] = [];
  live: Era | undefined;
  holdMs: number | undefined;

  constructor(readonly random: Random) {}

  /** A lease of the model, when the gate would give one. */
  grant(): Work | undefined {
    if (this.live === undefined || this.holdMs !== undefined) return undefined;
    const work: Work = { era: this.live, cuts: 0, told: 0, cutUnheard: false };
    this.live.held.add(work);
    this.works.push(work);
    return work;
  }

  /** What a holder does once it has its lease. */
  take(work: Work, lease: Lease<string>): void {
    work.lease = lease;
    if (this.random.chance(0.8)) this.listen(work);
  }

  /** The holder sets onCut, at once or late. */
  listen(work: Work): void {
    const habit = this.random.pick(HABITS);
    work.habit = habit;
    if (work.cutUnheard) this.tellModel(work);
    work.lease!.onCut = () => {
      work.told++;
      if (habit === "release") work.lease!.release();
      if (habit === "others") { for (const other of this.inHand(work.era)) other.lease!.release(); }
      if (habit === "again") this.lease();
    };
  }

  tellModel(work: Work): void {
    work.cuts++;
    work.cutUnheard = false;
    if (work.habit === "others") {
      for (const other of this.inHand(work.era)) this.releaseModel(other);
    }
  }

  releaseModel(work: Work): void {
    work.era.held.delete(work);
    work.cutUnheard = false;
  }

  lease(): void {
    const expected = this.grant();
    const lease = this.gate.lease();
    assertEquals(lease !== undefined, expected !== undefined, "lease()");
    if (lease !== undefined) this.take(expected!, lease);
  }

  arrive(signal?: CountedSignal): void {
    const arrival: Arrival = { signal, expected: "nothing", seen: "waits" };
    if (signal?.signal.aborted) arrival.expected = "gone";
    else if (this.holdMs === undefined) arrival.expected = this.grant() ?? "nothing";
    else if (this.holdMs > 0) {
      arrival.expected = "waits";
      arrival.end = this.clock.now() + this.holdMs;
    }
    this.arrivals.push(arrival);
    this.gate.arrive(signal?.signal).then(
      (lease) => {
        arrival.seen = lease ?? "nothing";
        if (lease !== undefined && typeof arrival.expected === "object") {
          this.take(arrival.expected, lease);
        }
      },
      (error) => {
        assertStrictEquals(error, signal!.reason);
        arrival.seen = "gone";
      },
    );
  }

  abort(signal: CountedSignal): void {
    for (const arrival of this.waiting()) {
      if (arrival.signal === signal) arrival.expected = "gone";
    }
    signal.abort();
  }

  waiting(): Arrival[] {
    return this.arrivals.filter((arrival) => arrival.expected === "waits");
  }

  /** Leases on one target that their holders have, given back or not. */
  inHand(era: Era): Work[] {
    return this.works.filter((work) => work.era === era && work.lease !== undefined);
  }

  release(work: Work): void {
    this.releaseModel(work);
    work.lease!.release();
  }

  wakeAll(): void {
    this.holdMs = undefined;
    for (const arrival of this.waiting()) arrival.expected = this.grant() ?? "nothing";
  }

  swap(name: string | undefined): void {
    const old = this.live;
    this.live = name === undefined
      ? undefined
      : { name, live: true, held: new Set(), wasCut: 0, idle: false };
    if (this.live !== undefined) this.eras.push(this.live);
    this.wakeAll();
    const draining = this.gate.swap(name);
    if (old === undefined) {
      assertEquals([draining.held, draining.wasCut, draining.deadline], [0, 0, undefined]);
      return;
    }
    old.live = false;
    old.drain = draining;
    draining.idle.then(() => old.idle = true);
  }

  hold(ms: number): void {
    this.holdMs = ms;
    this.gate.hold(ms);
  }

  open(): void {
    this.wakeAll();
    this.gate.open();
  }

  within(era: Era, ms: number): void {
    era.deadline = ms === Infinity ? undefined : this.clock.now() + ms;
    era.drain!.within(ms);
  }

  extend(era: Era, ms: number): void {
    if (era.deadline !== undefined) era.deadline += ms;
    era.drain!.extend(ms);
  }

  /** The model's half of a cut; the real one is called after it, or by the clock. */
  cutModel(era: Era): void {
    for (const work of era.held) {
      era.held.delete(work);
      era.wasCut++;
      if (work.habit === undefined) work.cutUnheard = true;
      else this.tellModel(work);
    }
  }

  cut(era: Era): void {
    this.cutModel(era);
    era.drain!.cut();
  }

  /** Moves time in steps from one thing that is due to the next. */
  advance(ms: number): void {
    const until = this.clock.now() + ms;
    while (true) {
      const ends = this.waiting().map((arrival) => arrival.end!);
      const cuts = this.cutting().map((era) => Math.max(era.deadline!, this.clock.now()));
      const next = Math.min(...ends, ...cuts);
      if (next > until) break;
      for (const arrival of this.waiting()) {
        if (arrival.end! <= next) arrival.expected = "nothing";
      }
      for (const era of this.cutting()) if (era.deadline! <= next) this.cutModel(era);
      this.clock.tick(next - this.clock.now());
    }
    this.clock.tick(until - this.clock.now());
  }

  /** Drains that a deadline will cut. */
  cutting(): Era[] {
    return this.eras.filter((era) => !era.live && era.deadline !== undefined && era.held.size > 0);
  }

  /** Everything that can be seen at any moment, between any two events. */
  check(): void {
    assertEquals(this.gate.live, this.live?.name, "live");
    assertEquals(this.gate.held, this.live?.held.size ?? 0, "held");
    assertEquals(this.gate.holding, this.holdMs !== undefined, "holding");
    assertEquals(this.gate.waiting, this.waiting().length, "waiting");
    for (const era of this.eras) {
      if (era.drain === undefined) continue;
      assertEquals(era.drain.held, era.held.size, `held on ${era.name}`);
      assertEquals(era.drain.wasCut, era.wasCut, `cut on ${era.name}`);
      assertEquals(era.drain.deadline, era.deadline, `deadline of ${era.name}`);
      if (era.held.size > 0) assert(!era.idle, `${era.name} is idle and held`);
    }
    for (const work of this.works) {
      assertEquals(work.told, work.cuts, `told to end on ${work.era.name}`);
      if (work.lease === undefined) continue;
      assertEquals(work.lease.target, work.era.name, "the target of a lease never changes");
      assertEquals(work.lease.draining, !work.era.live, "draining");
    }
    // No timer and no listener outlives what it was for.
    assertEquals(this.clock.pending, this.waiting().length + this.cutting().length, "timers");
  }

  /** What is true once every promise has settled. */
  async checkSettled(): Promise<void> {
    await turn();
    this.check();
    for (const era of this.eras) {
      assertEquals(era.idle, !era.live && era.held.size === 0, `idle of ${era.name}`);
    }
    for (const [index, arrival] of this.arrivals.entries()) {
      const { expected, seen } = arrival;
      const same = typeof expected === "object" ? expected.lease === seen : expected === seen;
      assert(same, `arrival ${index}: ${show(seen)} instead of ${show(expected)}`);
    }
    for (const signal of new Set(this.arrivals.map((arrival) => arrival.signal))) {
      if (signal === undefined) continue;
      const waiting = this.waiting().filter((arrival) => arrival.signal === signal).length;
      assertEquals(signal.listeners, waiting, "listeners on a signal");
    }
  }
}

function show(outcome: Arrival["seen"] | Arrival["expected"]): string {
  return typeof outcome === "string" ? outcome : "a lease";
}
