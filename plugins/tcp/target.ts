/**
 * The pool of one release, and the connections that it took.
 *
 * Invariant: a connection is here from its lease to its end, also when the lease was taken away from
 * it before.
 */

import type { WorkerPool } from "../../lib/pool/contract.ts";

/** A connection, as far as its target knows it. */
export interface Holder {
  /** Ends it in bounded time; its workers are told. */
  cut(): void;
  /** Resolves at its end. */
  readonly over: Promise<void>;
}

/** See the file's comment. */
export class Target {
  readonly #holders = new Set<Holder>();

  constructor(readonly pool: WorkerPool) {}

  /** A connection is served until it is over. */
  async hold(holder: Holder): Promise<void> {
    this.#holders.add(holder);
    await holder.over;
    this.#holders.delete(holder);
  }

  /** Resolves when no connection is left; what is there still is cut. */
  async empty(): Promise<void> {
    const left = [...this.#holders];
    for (const holder of left) holder.cut();
    await Promise.all(left.map(({ over }) => over));
  }
}
