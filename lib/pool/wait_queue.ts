/**
 * Requests that wait for a worker.
 *
 * Invariants: first come, first served, but a request that a worker gave back goes first; to come, to
 * leave and to be served cost the same however many wait; nobody waits longer than its deadline.
 */

import type { Call } from "./call.ts";

/** Of so many last requests the wait is remembered. */
const REMEMBERED = 256;

/** See the file's comment. */
export class WaitQueue {
  /** A Set is a list in order of arrival from which anybody may leave at once. */
  readonly #returned = new Set<Call>();
  readonly #waiting = new Set<Call>();
  readonly #waits = new Float64Array(REMEMBERED);
  #served = 0;

  get size(): number {
    return this.#waiting.size + this.#returned.size;
  }

  /** Who is next. */
  get first(): Call | undefined {
    for (const call of this.#returned) return call;
    for (const call of this.#waiting) return call;
    return undefined;
  }

  /** One more; `returned`: it was served before, in vain. */
  add(call: Call, returned = false): void {
    (returned ? this.#returned : this.#waiting).add(call);
  }

  delete(call: Call): void {
    if (!this.#waiting.delete(call)) this.#returned.delete(call);
  }

  /** Takes out who is next. */
  shift(): Call | undefined {
    const call = this.first;
    if (call !== undefined) this.delete(call);
    return call;
  }

  /** Takes out all. */
  clear(): Call[] {
    const all = [...this.#returned, ...this.#waiting];
    this.#returned.clear();
    this.#waiting.clear();
    return all;
  }

  /** Takes out those whose deadline is over. Who came later has a later one, but for new settings. */
  expired(now: number): Call[] {
    const over = [...this.#returned].filter((call) => call.deadline <= now);
    for (const call of this.#waiting) {
      if (call.deadline > now) break;
      over.push(call);
    }
    for (const call of over) this.delete(call);
    return over;
  }

  /** The earliest deadline; Infinity when nobody waits. */
  get deadline(): number {
    let earliest = Infinity;
    for (const call of this.#returned) earliest = Math.min(earliest, call.deadline);
    for (const call of this.#waiting) return Math.min(earliest, call.deadline);
    return earliest;
  }

  /** Remembers how long one waited until a worker took it, milliseconds. */
  served(ms: number): void {
    this.#waits[this.#served++ % REMEMBERED] = ms;
  }

  /** The wait of the last one, and what 95 of 100 did not exceed. */
  waits(): { last: number; p95: number } {
    const count = Math.min(this.#served, REMEMBERED);
    if (count === 0) return { last: 0, p95: 0 };
    const sorted = this.#waits.slice(0, count).sort();
    const last = this.#waits[(this.#served - 1) % REMEMBERED];
    const p95 = sorted[Math.min(count - 1, Math.ceil(count * 0.95) - 1)];
    return { last: Math.round(last), p95: Math.round(p95) };
  }
}
