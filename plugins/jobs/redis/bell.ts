/**
 * Waits at Redis until there may be something to take.
 *
 * | state   | entered by             | next                                         |
 * | ------- | ---------------------- | -------------------------------------------- |
 * | silent  | –, the last one left   | waiting, by wait()                           |
 * | waiting | wait()                 | silent, when all were woken or gave up       |
 * | closed  | close()                | –                                            |
 *
 * Invariants: one command waits at the server, on a connection of its own, however many wait here; who
 * saw the bell at `seen` is woken by everything after that, also by what came before the call; a lost
 * connection wakes everybody.
 */

import type { Clock } from "../../../lib/core/clock.ts";
import { Link, type LinkSpec } from "../link.ts";
import { type RedisConnection, Refused } from "./connection.ts";

/** How long one command waits: the silence after which a dead connection is noticed is little more. */
const BLOCK = 10_000;

interface Waiter {
  readonly seen: string;
  wake(): void;
  refuse(error: Refused): void;
}

/** See the file's comment. */
export class Bell {
  readonly #link: Link<RedisConnection>;
  readonly #base: string;
  readonly #onLost: () => void;
  readonly #waiters = new Set<Waiter>();
  #listening = false;

  /** `onLost`: its connection is gone; others may be, too. */
  constructor(spec: LinkSpec<RedisConnection>, base: string, clock: Clock, onLost: () => void) {
    this.#link = new Link(spec, clock);
    this.#base = base;
    this.#onLost = onLost;
  }

  /** Resolves when it rings. @throws the signal's reason; Refused when nobody may listen */
  wait(seen: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter);
        signal.removeEventListener("abort", abort);
      };
      const abort = () => {
        leave();
        reject(signal.reason);
      };
      const waiter: Waiter = {
        seen,
        wake: () => {
          leave();
          resolve();
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener("abort", abort, { once: true });
      if (!this.#listening) this.#listen();
    });
  }

  /** Nobody may wait any more. */
  close(): Promise<void> {
    return this.#link.close();
  }

  async #listen(): Promise<void> {
    this.#listening = true;
    this.#link.open();
    for (let first; (first = this.#first) !== undefined;) {
      try {
        const connection = await this.#link.ready();
        const { seen } = this.#first ?? first;
        const { bell, strangers } = streamsOf(this.#base);
        if (await connection.await(bell, seen, strangers, BLOCK)) this.#ring();
      } catch (error) {
        if (error instanceof Refused) {
          for (const { refuse } of [...this.#waiters]) refuse(error);
          continue;
        }
        // Lost, or closed: who waits looks for itself, as something may have happened meanwhile.
        this.#ring();
        this.#onLost();
      }
    }
    this.#listening = false;
  }

  get #first(): Waiter | undefined {
    return this.#waiters.values().next().value;
  }

  #ring(): void {
    for (const { wake } of [...this.#waiters]) wake();
  }
}

function streamsOf(base: string) {
  return { bell: `${base}bell`, strangers: `${base}in` };
}
