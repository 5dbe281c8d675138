/**
 * Where the workers of one pool connect: opened with the first of them, closed with the pool.
 *
 * Invariant: an opening that failed is tried again with the next worker.
 */

import type { RelayDoor } from "../goridge/doors.ts";
import type { PoolHost, WorkerSpec } from "./types.ts";

/** See the file's comment. */
export class SharedDoor {
  readonly #worker: WorkerSpec;
  readonly #host: PoolHost;
  #door: Promise<RelayDoor> | undefined;

  constructor(worker: WorkerSpec, host: PoolHost) {
    this.#worker = worker;
    this.#host = host;
  }

  /** Undefined: pipes need none. @throws Failure */
  async open(): Promise<RelayDoor | undefined> {
    const { relay, identity } = this.#worker;
    if (relay === "pipes") return undefined;
    this.#door ??= this.#host.doors.open(relay, identity);
    try {
      return await this.#door;
    } catch (error) {
      this.#door = undefined;
      throw error;
    }
  }

  /** When nobody opens it any more. */
  async close(): Promise<void> {
    (await this.#door)?.close();
  }
}
