/**
 * The dead letters of a pipeline: the tube `<tube>.dead`, which nobody takes from.
 *
 * A tube can only be read by reserving. So each question reserves letters from the oldest on, on a
 * connection of its own, as far as it must, and releases, to their places, all that were not ended.
 * Somebody who asks at the same time elsewhere sees the rest only.
 *
 * Invariants: of this pipeline one question is asked at a time; never more than MAX_SCAN letters are
 * reserved, and only those that are answered are kept; a letter is ended after what becomes of it was
 * stored.
 */

import type { DeadJob } from "../driver.ts";
import { InTurn } from "../in_turn.ts";
import { ended, type Letter, listed, type Look } from "../letters.ts";
import { decode, type Decoded } from "./codec.ts";
import { reservedOf, type Session } from "./session.ts";
import type { Wire } from "./wire.ts";

/** Letters that are looked at; those behind are reached when some before them are gone. */
const MAX_SCAN = 10_000;
/** Reserved at a time, and bytes of them. */
const STRIDE = { letters: 32, bytes: 32 * 1024 * 1024 };

/** One, and where it is reserved. */
interface Got extends Letter {
  readonly job: Decoded;
  readonly number: string;
  readonly wire: Wire;
}

/** See the file's comment. */
export class DeadLetters {
  readonly #tube: string;
  readonly #questions = new InTurn();

  constructor(tube: string) {
    this.#tube = tube;
  }

  /** How many there are, also while others look at them. */
  count(session: Session): Promise<number> {
    return this.#questions.run(async () => {
      const facts = await session.tube(this.#tube);
      const of = (what: string) => Number(facts.get(`current-jobs-${what}`) ?? 0);
      return of("ready") + of("reserved");
    });
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
      async ({ job, number, wire }) => {
        await first(job);
        return (await wire.one(`delete ${number}`)).word === "DELETED";
      },
    );
  }

  /** Shows letters to `look`, from the oldest, until it has enough. */
  #walk(session: Session, look: Look<Got>): Promise<void> {
    return this.#questions.run(() =>
      session.aside(this.#tube, async (wire) => {
        const fitting = Math.floor(STRIDE.bytes / session.max_size);
        const stride = Math.min(STRIDE.letters, Math.max(1, fitting));
        const seen: string[] = [];
        let goOn = true;
        while (goOn && seen.length < MAX_SCAN) {
          const lines = Array.from({ length: stride }, () => ({ line: "reserve-with-timeout 0" }));
          const some = reservedOf(await wire.ask(lines));
          seen.push(...some.map(({ number }) => number));
          for (const { number, body } of some) {
            goOn = goOn && await look({ job: decode(body, number, 1), number, wire });
          }
          goOn = goOn && some.length === stride;
        }
        // The end of the connection would do it too, but nobody knows when.
        await wire.ask(seen.map((number) => ({ line: `release ${number} 0 0` })));
      })
    );
  }
}
