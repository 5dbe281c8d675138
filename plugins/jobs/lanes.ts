/**
 * Jobs that wait for a worker: one queue for each pool, the most urgent of all its pipelines first.
 *
 * | a job is | when                                                        | goes on               |
 * | -------- | ----------------------------------------------------------- | --------------------- |
 * | queued   | it was taken                                                | when a poller is free |
 * | parked   | its pipeline has begun as many as `parallelism`, `rate` say | when it may           |
 * | at work  | a release is live, a poller is free                         | at its end            |
 *
 * Invariants: lower priority numbers first, then who came first, over all pipelines of a pool; a job is
 * in one place; nothing begins without a lease on the live release; a pool without workers is left
 * alone for a while, not asked again and again.
 */

import { freshHistory, nextWait, type WaitPolicy } from "../../lib/core/backoff.ts";
import type { Clock, Timer } from "../../lib/core/clock.ts";
import type { Gate } from "../../lib/core/gate.ts";
import type { WorkerPool } from "../../lib/pool/contract.ts";
import type { Emit } from "../../lib/telemetry/events.ts";
import { Heap } from "./heap.ts";
import type { Taken, TakenFrom } from "./taken.ts";
import type { Target } from "./target.ts";
import { JobWork, type WorkHome } from "./work.ts";

/** Jobs at a pool beyond its workers, so that none of these waits for us. */
const AHEAD = 2;
/** How long a pool is left alone that has no worker. */
const REST: WaitPolicy = { delay: 1000, backoff_factor: 2, max_delay: 30_000 };

/** What lanes are given to live in. */
export interface LanesHost {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly gate: Gate<Target>;
  /** Jobs at a pool at a time; 0: as many as it has workers, and two. */
  pollers(): number;
  /** A job was taken out: there is room for another. */
  onSpace(): void;
}

const isSooner = (a: Taken, b: Taken) =>
  a.delivery.priority < b.delivery.priority ||
  (a.delivery.priority === b.delivery.priority && a.seq < b.seq);

/** The jobs of a pipeline that may not begin now. */
interface Parked {
  readonly jobs: Heap<Taken>;
  timer: Timer | undefined;
}

/** See the file's comment. */
export class Lanes {
  readonly #host: LanesHost;
  readonly #lanes = new Map<string, Lane>();
  readonly #parked = new Map<TakenFrom, Parked>();
  #waiting = 0;

  constructor(host: LanesHost) {
    this.#host = host;
  }

  /** Jobs that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** A job waits for its turn. */
  add(taken: Taken): void {
    this.#waiting++;
    this.#queue(taken);
  }

  /** Begins what can. */
  pump(): void {
    for (const lane of this.#lanes.values()) this.#pump(lane);
  }

  /** Takes out what waits of a pipeline. */
  withdraw(pipeline: TakenFrom): Taken[] {
    const is = (taken: Taken) => taken.pipeline === pipeline;
    const parked = this.#parked.get(pipeline);
    parked?.timer?.cancel();
    this.#parked.delete(pipeline);
    const out = parked?.jobs.remove(is) ?? [];
    for (const lane of this.#lanes.values()) out.push(...lane.heap.remove(is));
    this.#waiting -= out.length;
    return out;
  }

  /** The settings of a pipeline are others: what waits of it is looked at anew. */
  renew(pipeline: TakenFrom): void {
    for (const taken of this.withdraw(pipeline)) this.add(taken);
  }

  /** Another release is live, or none. */
  turn(target: Target | undefined): void {
    for (const lane of this.#lanes.values()) lane.turn(undefined);
    for (const [name, pool] of target?.pools ?? []) this.#lane(name).turn(pool);
    this.pump();
  }

  [Symbol.dispose](): void {
    for (const lane of this.#lanes.values()) lane.turn(undefined);
    for (const { timer } of this.#parked.values()) timer?.cancel();
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = new Lane(name, this.#host, () => this.#pump(lane!));
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #queue(taken: Taken): void {
    this.#lane(taken.pipeline.pool).heap.push(taken);
  }

  #pump(lane: Lane): void {
    const { clock, gate, onSpace } = this.#host;
    let begun = false;
    while (lane.free && gate.live !== undefined) {
      const taken = lane.heap.pop();
      if (taken === undefined) break;
      const wait = taken.pipeline.wait(clock.now());
      if (wait > 0) {
        this.#park(taken, wait);
        continue;
      }
      const lease = gate.lease();
      if (lease === undefined) {
        lane.heap.push(taken);
        break;
      }
      this.#waiting--;
      lane.seat.running++;
      begun = true;
      new JobWork(taken, lease, this.#homeOf(lane)).begin();
    }
    if (begun) onSpace.call(this.#host);
  }

  #park(taken: Taken, wait: number): void {
    const { pipeline } = taken;
    let parked = this.#parked.get(pipeline);
    if (parked === undefined) {
      parked = { jobs: new Heap(isSooner), timer: undefined };
      this.#parked.set(pipeline, parked);
    }
    parked.jobs.push(taken);
    this.#wakeIn(wait, pipeline, parked);
  }

  /** Parked jobs of a pipeline that may begin are queued again. */
  #unpark(pipeline: TakenFrom): void {
    const parked = this.#parked.get(pipeline);
    if (parked === undefined || parked.jobs.size === 0) return;
    const now = this.#host.clock.now();
    let ahead = 0;
    let wait = pipeline.wait(now);
    while (wait === 0 && parked.jobs.size > 0) {
      this.#queue(parked.jobs.pop()!);
      wait = pipeline.wait(now, ++ahead);
    }
    if (parked.jobs.size > 0) this.#wakeIn(wait, pipeline, parked);
    if (ahead > 0) this.#pump(this.#lane(pipeline.pool));
  }

  #wakeIn(wait: number, pipeline: TakenFrom, parked: Parked): void {
    if (wait === Infinity || parked.timer !== undefined) return;
    parked.timer = this.#host.clock.timer(wait, () => {
      parked.timer = undefined;
      this.#unpark(pipeline);
    });
  }

  /** For the jobs that are given to the lane's pool of now. */
  #homeOf(lane: Lane): WorkHome {
    const { seat } = lane;
    return seat.home ??= {
      over: ({ taken: { pipeline } }, served) => {
        seat.running--;
        if (served) lane.served();
        this.#unpark(pipeline);
        this.#pump(lane);
      },
      returned: ({ taken }, why) => {
        seat.running--;
        if (why !== undefined && seat === lane.seat) lane.rest(why);
        if (taken.pipeline.flowing) this.add(taken);
        else taken.pipeline.handBack([taken], "stopped");
        this.#unpark(taken.pipeline);
        this.#pump(lane);
      },
    };
  }
}

/** The jobs that one pool has. */
interface Seat {
  running: number;
  home: WorkHome | undefined;
}

/** The queue of one pool. */
class Lane {
  readonly heap = new Heap<Taken>(isSooner);
  /** A new one for each pool: what an old one still has takes no place of it. */
  seat: Seat = { running: 0, home: undefined };
  readonly #host: LanesHost;
  readonly #pump: () => void;
  #pool: WorkerPool | undefined;
  #alive = 0;
  #unheard: (() => void) | undefined;
  #rest: Timer | undefined;
  #tries = freshHistory();

  constructor(readonly name: string, host: LanesHost, pump: () => void) {
    this.#host = host;
    this.#pump = pump;
  }

  /** Another job may be given to the pool. */
  get free(): boolean {
    if (this.#pool === undefined || this.#rest !== undefined) return false;
    return this.seat.running < (this.#host.pollers() || this.#alive + AHEAD);
  }

  turn(pool: WorkerPool | undefined): void {
    this.#unheard?.();
    this.#unheard = undefined;
    this.#wake();
    this.#pool = pool;
    if (pool === undefined) return;
    this.seat = { running: 0, home: undefined };
    this.#alive = pool.alive;
    this.#unheard = pool.onChange(() => {
      const grown = pool.alive > this.#alive;
      this.#alive = pool.alive;
      if (!grown) return;
      this.#wake();
      this.#pump();
    });
  }

  /** A worker has answered. */
  served(): void {
    if (this.#tries.streak > 0) this.#tries = freshHistory();
  }

  /** The pool has no worker: it is asked again later, or when one comes. */
  rest(reason: string): void {
    if (this.#rest !== undefined || this.#pool === undefined) return;
    const ms = nextWait(REST, this.#tries);
    this.#host.emit("jobs_waiting", { pool: this.name, reason, next_try_ms: ms });
    this.#rest = this.#host.clock.timer(ms, () => {
      this.#rest = undefined;
      this.#pump();
    });
  }

  #wake(): void {
    this.#rest?.cancel();
    this.#rest = undefined;
  }
}
