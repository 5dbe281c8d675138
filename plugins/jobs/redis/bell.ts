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
import { Waiters } from "../waiters.ts";
import { type RedisConnection, Refused } from "./connection.ts";

/** How long one command waits: the silence after which a dead connection is noticed is little more. */
const BLOCK = 10_000;

/** See the file's comment. */
export class Bell {
  readonly #link: Link<RedisConnection>;
  readonly #base: string;
  readonly #onLost: () => void;
  /** With what they saw. */
  readonly #waiters = new Waiters<true, string>();
  #listening = false;

  /** `onLost`: its connection is gone; others may be, too. */
  constructor(spec: LinkSpec<RedisConnection>, base: string, clock: Clock, onLost: () => void) {
    this.#link = new Link(spec, clock);
    this.#base = base;
    this.#onLost = onLost;
  }

  /** Resolves when it rings. @throws the signal's reason; Refused when nobody may listen */
  async wait(seen: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const rung = this.#waiters.wait(seen, signal);
    if (!this.#listening) this.#listen();
    await rung;
  }

  /** Nobody may wait any more. */
  close(): Promise<void> {
    return this.#link.close();
  }

  async #listen(): Promise<void> {
    this.#listening = true;
    this.#link.open();
    for (let first; (first = this.#waiters.first) !== undefined;) {
      try {
        const connection = await this.#link.ready();
        const seen = this.#waiters.first ?? first;
        const { bell, strangers } = streamsOf(this.#base);
        if (await connection.await(bell, seen, strangers, BLOCK)) this.#ring();
      } catch (error) {
        if (error instanceof Refused) {
          this.#waiters.refuse(error);
          continue;
        }
        // Lost, or closed: who waits looks for itself, as something may have happened meanwhile.
        this.#ring();
        this.#onLost();
      }
    }
    this.#listening = false;
  }

  #ring(): void {
    this.#waiters.serve(() => true);
  }
}

function streamsOf(base: string) {
  return { bell: `${base}bell`, strangers: `${base}in` };
}
