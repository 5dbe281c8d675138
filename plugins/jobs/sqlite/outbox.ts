/**
 * Orders that wait for the thread of a file, first come, first out.
 *
 * Invariant: payloads that wait weigh no more than MAX_QUEUED, or are one push; those that go out
 * together weigh no more than MAX_BATCH, or are one order.
 */

import { formatSize } from "../../../lib/core/size.ts";
import type { Order } from "./messages.ts";

/** Payloads that wait to be written, bytes; more are refused. */
const MAX_QUEUED = 256 * 1024 * 1024;
/** Pushes that wait to be written; more are refused. */
const MAX_PUSHES = 100_000;
/** Payloads of one transaction, bytes. */
const MAX_BATCH = 32 * 1024 * 1024;

/** An order on its way. */
export interface Sent {
  order: Order;
  /** Of its payloads, bytes. */
  size: number;
}

/** See the file's comment. */
export class Outbox {
  #all: Sent[] = [];
  #size = 0;
  #pushes = 0;

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** Why there is no room for a push of that size; undefined: there is. */
  full(size: number): string | undefined {
    if (this.#pushes === 0) return undefined;
    if (this.#pushes < MAX_PUSHES && this.#size + size <= MAX_QUEUED) return undefined;
    return `${this.#pushes} pushes of ${formatSize(this.#size)} wait to be written already`;
  }

  add(sent: Sent): void {
    this.#all.push(sent);
    this.#size += sent.size;
    if (sent.order.do === "push") this.#pushes++;
  }

  /** Takes one back. @returns false: it is not here any more */
  remove(order: Order): boolean {
    const at = this.#all.findIndex((sent) => sent.order === order);
    if (at < 0) return false;
    this.#out(this.#all.splice(at, 1));
    return true;
  }

  /** What goes out now. */
  batch(): Order[] {
    let size = 0;
    const end = this.#all.findIndex((sent) => (size += sent.size) > MAX_BATCH);
    // One that is bigger than a batch goes alone.
    return this.#out(this.#all.splice(0, end < 0 ? this.#all.length : Math.max(1, end)));
  }

  #out(sent: readonly Sent[]): Order[] {
    return sent.map(({ order, size }) => {
      this.#size -= size;
      if (order.do === "push") this.#pushes--;
      return order;
    });
  }
}
