/**
 * Our consumer at Redis: by it the server knows which jobs we have, and whether we live.
 *
 * | consumer | entered by                | then                                                      |
 * | -------- | ------------------------- | --------------------------------------------------------- |
 * | none     | –, expelled               | alive, before something is taken                          |
 * | alive    | join                      | it says so every third of `visibility_timeout`            |
 * | expelled | no word of it for so long | none; what it held is others', and is settled by nobody   |
 * | gone     | leave                     | what it held waits again                                  |
 *
 * Invariants: a consumer that was expelled never comes back, there is a new one; everything that is
 * pending at ours is in `held`, or handed back before the next take (an answer that got lost may have
 * reserved jobs).
 */

import type { Clock, Timer } from "../../../lib/core/clock.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { Link } from "../link.ts";
import type { Held } from "./codec.ts";
import { type Arg, type RedisConnection, Refused } from "./connection.ts";

/** See the file's comment. */
export class Presence {
  /** Reserved for us; true while it is being settled. */
  readonly held = new Map<Held, boolean>();
  /** Jobs may be reserved for us that we do not know. */
  unsure = false;
  readonly #link: Link<RedisConnection>;
  readonly #base: string;
  readonly #visibility: number;
  readonly #clock: Clock;
  readonly #me = crypto.randomUUID();
  #count = 0;
  /** Alive, as far as we know. */
  #consumer: string | undefined;
  #timer: Timer | undefined;
  #sending = false;

  constructor(link: Link<RedisConnection>, base: string, visibility: number, clock: Clock) {
    this.#link = link;
    this.#base = base;
    this.#visibility = visibility;
    this.#clock = clock;
    this.#later();
  }

  /** Whether that consumer is ours still. */
  is(consumer: string): boolean {
    return this.#consumer === consumer;
  }

  /** A consumer that may take; nothing is pending at it that is not held here. */
  async current(connection: RedisConnection): Promise<string> {
    const consumer = this.#consumer ?? await this.#join(connection);
    if (!this.unsure) return consumer;
    const args: Arg[] = [consumer];
    for (const job of this.held.keys()) {
      if (job.consumer === consumer) args.push(job.lane, job.entry);
    }
    await connection.run("reclaim", this.#base, args);
    this.unsure = false;
    return consumer;
  }

  /** What it held is others' by now. */
  expelled(consumer: string): void {
    if (this.#consumer === consumer) this.#consumer = undefined;
  }

  /** Tells the server, if it can be told now. */
  async sayAlive(): Promise<void> {
    const { connection } = this.#link;
    const consumer = this.#consumer;
    if (connection === undefined || consumer === undefined || this.#sending) return;
    this.#sending = true;
    try {
      const args = [consumer, this.#visibility, 0];
      if (await connection.run("beat", this.#base, args) === 0) this.expelled(consumer);
    } catch (error) {
      // A lost connection is said by the link; what is refused here, the next take hears too.
      if (!(error instanceof Failure || error instanceof Refused)) throw error;
    } finally {
      this.#sending = false;
    }
  }

  /** No further sign of life. */
  stop(): void {
    this.#timer?.cancel();
  }

  /** What is held waits again. @throws Failure when the server cannot be told */
  async leave(signal: AbortSignal): Promise<void> {
    const consumer = this.#consumer;
    if (consumer === undefined) return;
    for (let over = false; !over;) {
      const connection = await this.#link.ready(signal);
      over = await connection.run("leave", this.#base, [consumer]) === 1;
    }
    this.held.clear();
  }

  async #join(connection: RedisConnection): Promise<string> {
    const consumer = `${this.#me}.${++this.#count}`;
    await connection.run("beat", this.#base, [consumer, this.#visibility, 1]);
    this.unsure = false;
    return this.#consumer = consumer;
  }

  #later(): void {
    this.#timer = this.#clock.timer(this.#visibility / 3, () => {
      this.sayAlive();
      this.#later();
    });
  }
}
