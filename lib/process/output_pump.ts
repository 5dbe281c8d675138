/**
 * Takes turns: every stream with new output gets one bounded turn, then the next one.
 *
 * Invariants: one turn or task at a time, so at most one file operation of all output is in flight (a
 * hanging disk costs the runtime one thread, and no two batches ever race for a log); a stream that
 * prints without end gets no more turns than the others; all turns together take at most half of the
 * daemon's time.
 */

import { type Clock, sleep } from "../core/clock.ts";

/** Milliseconds of turns after which the pump rests for as long as they took. */
const BUSY = 8;

/** Something that takes turns. */
export interface TurnTaker {
  /** One bounded piece of work; never rejects. True: there is more to be done at once. */
  turn(buffer: Uint8Array): Promise<boolean>;
}

/** See the file's comment. */
export class Pump {
  readonly #clock: Clock;
  readonly #buffer: Uint8Array;
  /** Insertion order is the order of turns. */
  readonly #waiting = new Set<TurnTaker>();
  #tasks: (() => Promise<void>)[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  /** @param buffer bytes of the buffer that each turn may fill */
  constructor(clock: Clock, buffer: number) {
    this.#clock = clock;
    this.#buffer = new Uint8Array(buffer);
  }

  /** Gives `taker` a turn soon; once, however often this is called before. */
  wake(taker: TurnTaker): void {
    if (this.#closed) return;
    this.#waiting.add(taker);
    this.#running ??= this.#run();
  }

  /** Runs `task` between two turns, before any further turn. */
  run<T>(task: () => Promise<T> | T): Promise<T> {
    const result = Promise.withResolvers<T>();
    this.#tasks.push(async () => {
      try {
        result.resolve(await task());
      } catch (error) {
        result.reject(error);
      }
    });
    this.#running ??= this.#run();
    return result.promise;
  }

  /** No more turns; resolves when the current one is over. Tasks are still run. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // what is woken in the same turn of the loop is known before the first turn
    let since = this.#clock.now();
    for (;;) {
      const task = this.#tasks.shift();
      if (task !== undefined) {
        await task();
        continue;
      }
      const [taker] = this.#waiting;
      if (taker === undefined) break;
      this.#waiting.delete(taker);
      if (await taker.turn(this.#buffer)) this.wake(taker);
      const busy = this.#clock.now() - since;
      if (busy < BUSY) continue;
      await sleep(this.#clock, busy);
      since = this.#clock.now();
    }
    this.#running = undefined;
  }
}
