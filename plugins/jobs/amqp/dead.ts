/**
 * The dead letters of a pipeline: the queue `<queue>.dead`, which nobody consumes.
 *
 * A queue can only be read from its head, by taking. So each question takes letters one by one on a
 * channel of its own, as far as it must, and the end of that channel puts back, in their places, all
 * that were not ended. Somebody who asks at the same time elsewhere sees the rest only.
 *
 * Invariants: of this pipeline one question is asked at a time; never more than MAX_SCAN letters are
 * taken, and only the payloads that are answered are kept; a letter is ended after what becomes of it
 * was confirmed.
 */

// @ts-types="@types/amqplib"
import type { Channel, GetMessage } from "amqplib";
import type { DeadJob } from "../driver.ts";
import { InTurn } from "../in_turn.ts";
import { deadOf, decode, type Decoded } from "./codec.ts";
import type { Session } from "./session.ts";

/** Letters that are looked at; those behind are reached when some before them are gone. */
export const MAX_SCAN = 10_000;

/** See the file's comment. */
export class DeadLetters {
  readonly #queue: string;
  readonly #questions = new InTurn();

  constructor(queue: string) {
    this.#queue = queue;
  }

  /** How many there are. */
  count(session: Session): Promise<number> {
    return this.#questions.run(async () =>
      session.keepsDead ? await session.waiting(this.#queue) : 0
    );
  }

  /** Up to `most`, oldest first, after the one with id `after`. */
  async list(session: Session, most: number, after?: string): Promise<DeadJob[]> {
    const jobs: DeadJob[] = [];
    let isPast = after === undefined;
    await this.#walk(session, ({ job }) => {
      if (isPast) jobs.push(deadOf(job));
      else isPast = job.id === after;
      return jobs.length < most;
    });
    return jobs;
  }

  /** Ends the oldest of that id, after `first` was done with it. @returns false: there is none */
  async take(
    session: Session,
    id: string,
    first: (job: Decoded) => Promise<void> = () => Promise.resolve(),
  ): Promise<boolean> {
    let isFound = false;
    await this.#walk(session, async ({ job, letter, channel }) => {
      if (job.id !== id) return true;
      await first(job);
      channel.ack(letter);
      isFound = true;
      return false;
    });
    return isFound;
  }

  /** Shows letters to `look`, from the oldest, until it has enough. */
  #walk(
    session: Session,
    look: (
      one: { job: Decoded; letter: GetMessage; channel: Channel },
    ) => boolean | Promise<boolean>,
  ): Promise<void> {
    if (!session.keepsDead) return Promise.resolve();
    return this.#questions.run(() =>
      session.aside(async (channel) => {
        for (let seen = 0; seen < MAX_SCAN; seen++) {
          const letter = await session.command(channel.get(this.#queue));
          if (letter === false) return;
          if (!await look({ job: decode(letter, 0), letter, channel })) return;
        }
      })
    );
  }
}
