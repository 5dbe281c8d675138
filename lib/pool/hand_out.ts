/**
 * Who serves whom: free workers on one side, waiting requests on the other.
 *
 * Invariants: a worker stands in `#idle` exactly while it is free, and in `#busy` while it has a request
 * from here; nobody waits while somebody is free; both sides first come, first served.
 */

import type { Clock } from "../core/clock.ts";
import type { Call } from "./call.ts";
import { WaitQueue } from "./wait_queue.ts";
import type { Worker } from "./worker.ts";

/** See the file's comment. */
export class HandOut {
  readonly queue = new WaitQueue();
  readonly #clock: Clock;
  readonly #idle = new Set<Worker>();
  readonly #busy = new Set<Worker>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Workers that have a request. */
  get busy(): number {
    return this.#busy.size;
  }

  /** Workers that wait for one. */
  get idle(): number {
    return this.#idle.size;
  }

  /** A request came; `returned`: a worker gave it back. True: it is served at once. */
  serve(call: Call, returned = false): boolean {
    for (const worker of this.#idle) {
      this.#idle.delete(worker);
      this.#hand(call, worker);
      return true;
    }
    this.queue.add(call, returned);
    return false;
  }

  /** A worker is free. True: it has the next request at once. */
  offer(worker: Worker): boolean {
    this.#busy.delete(worker);
    const call = this.queue.shift();
    if (call === undefined) this.#idle.add(worker);
    else this.#hand(call, worker);
    return call !== undefined;
  }

  /** A worker is not free any more, or not busy: it ends, or is asked something else. */
  withdraw(worker: Worker): void {
    this.#idle.delete(worker);
    this.#busy.delete(worker);
  }

  /**
   * Compares with the workers that are free in truth, and puts right what does not agree.
   *
   * @returns what did not; undefined: all is well
   */
  verify(free: readonly Worker[]): string | undefined {
    const agrees = free.length === this.#idle.size &&
      free.every((worker) => this.#idle.has(worker)) &&
      [...this.#busy].every((worker) => worker.busy) &&
      (this.queue.size === 0 || free.length === 0);
    if (agrees) return undefined;
    const counts = `${free.length} free, ${this.#idle.size} handed out as idle, ` +
      `${this.#busy.size} as busy, ${this.queue.size} requests waiting`;
    for (const worker of [...this.#busy]) if (!worker.busy) this.#busy.delete(worker);
    this.#idle.clear();
    for (const worker of free) this.offer(worker);
    return counts;
  }

  #hand(call: Call, worker: Worker): void {
    this.#busy.add(worker);
    this.queue.served(this.#clock.now() - call.since);
    call.send(worker);
  }
}
