/**
 * How deliveries ended of which RabbitMQ may not know: an acknowledgement has no answer, and one that
 * was on its way when the connection was lost is a job that comes again.
 *
 * Invariants: a message is known by the id that we gave it, which no other has; at most `limit` are
 * remembered, the latest; what is not remembered is a job like any other, and runs again.
 */

import type { Settlement } from "../driver.ts";

/** See the file's comment. */
export class Ended {
  readonly #all = new Map<string, Settlement>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  remember(id: string, settlement: Settlement): void {
    this.#all.delete(id);
    this.#all.set(id, settlement);
    if (this.#all.size <= this.#limit) return;
    for (const oldest of this.#all.keys()) {
      this.#all.delete(oldest);
      return;
    }
  }

  /** How it ended, asked once. */
  recall(id: string): Settlement | undefined {
    const settlement = this.#all.get(id);
    this.#all.delete(id);
    return settlement;
  }
}
