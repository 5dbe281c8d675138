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
import { ended, type Letter, listed, type Look } from "../letters.ts";
import { decode, type Decoded } from "./codec.ts";
import type { Session } from "./session.ts";

/** Letters that are looked at; those behind are reached when some before them are gone. */
export const MAX_SCAN = 10_000;

/** One, and where it was taken. */
interface Got extends Letter {
  readonly job: Decoded;
  readonly letter: GetMessage;
  readonly channel: Channel;
}

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
  list(session: Session, most: number, after?: string): Promise<DeadJob[]> {
    return listed((look) => this.#walk(session, look), most, after);
  }

  /** Ends the oldest of that id, after `first` was done with it. @returns false: there is none */
  take(
    session: Session,
    id: string,
    first: (job: Decoded) => Promise<void> = () => Promise.resolve(),
  ): Promise<boolean> {
    return ended<Got>(
      (look) => this.#walk(session, look),
      id,
      async ({ job, letter, channel }) => {
        await first(job);
        channel.ack(letter);
        return true;
      },
    );
  }

  /** Shows letters to `look`, from the oldest, until it has enough. */
  #walk(session: Session, look: Look<Got>): Promise<void> {
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
