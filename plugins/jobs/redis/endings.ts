/**
 * How deliveries end: told to Redis in batches, until it has answered.
 *
 * Invariants: what frees room (ends) never waits for what needs some (moves); a settlement whose answer
 * got lost is sent again, and one that is then not found was done the first time; one that is not found
 * at once, or whose consumer was expelled, is told: the job comes again, or is gone.
 */

import type { Failure } from "../../../lib/core/failure.ts";
import type { Settlement } from "../driver.ts";
import type { Link } from "../link.ts";
import { type Settler, SettleTries } from "../settle_tries.ts";
import { Batches } from "./batches.ts";
import { encodeMeta, Garbage, type Held, textOf } from "./codec.ts";
import { type Arg, Lost, type RedisConnection } from "./connection.ts";
import type { Presence } from "./presence.ts";

/** Bytes of a settlement, about. */
const SIZE = 200;

/** What they are given to live in. */
export interface EndingsHome extends Settler {
  readonly base: string;
  readonly link: Link<RedisConnection>;
  readonly presence: Presence;
}

/** How one delivery ends, and whether that was sent before. */
interface Ending {
  readonly job: Held;
  readonly args: readonly Arg[];
  sent: boolean;
}

/** See the file's comment. */
export class Endings {
  readonly #home: EndingsHome;
  readonly #ends: Batches<Ending, void>;
  readonly #moves: Batches<Ending, void>;

  constructor(home: EndingsHome) {
    this.#home = home;
    const ready = () => home.link.ready(home.over);
    const send = (endings: Ending[]) => this.#send(endings);
    this.#ends = new Batches(ready, send);
    this.#moves = new Batches(ready, send);
  }

  /** Resolves when Redis has it; rejects only after close. */
  add(job: Held, settlement: Settlement): Promise<void> {
    const isEnd = settlement.kind === "ack" || settlement.kind === "drop";
    const batches = isEnd ? this.#ends : this.#moves;
    return batches.add({ job, args: argsOf(job, settlement), sent: false }, SIZE);
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    await Promise.all([this.#ends.idle, this.#moves.idle]);
  }

  close(reason: Failure): void {
    this.#ends.close(reason);
    this.#moves.close(reason);
  }

  async #send(endings: Ending[]): Promise<void[]> {
    const { link, base, over } = this.#home;
    const args = endings.flatMap(({ args }) => args);
    const tries = new SettleTries(this.#home);
    for (;;) {
      const connection = await link.ready(over);
      try {
        const reply = await connection.run("settle", base, args) as number[];
        return endings.map((ending, at) => this.#ended(ending, reply[at] === 1));
      } catch (error) {
        for (const ending of endings) ending.sent = true;
        // The next round waits for another connection.
        if (error instanceof Lost) continue;
        await tries.again(error);
      }
    }
  }

  #ended({ job, sent }: Ending, had: boolean): void {
    const { presence, pipeline, emit } = this.#home;
    presence.held.delete(job);
    if (had || (sent && presence.is(job.consumer))) return;
    const { id, name } = job;
    const error = "it is not reserved for us any more: it was given to others, or removed";
    emit("job_unsettled", { pipeline, job: name, id, error });
  }
}

/** What the script is told. */
function argsOf(job: Held, settlement: Settlement): Arg[] {
  const { kind } = settlement;
  const { consumer, lane, entry, id } = job;
  const place = [consumer, lane, entry];
  // What a stranger sent has no payload where it should be.
  const payload = job instanceof Garbage ? `=${textOf(job.payload)}` : "";
  switch (kind) {
    case "ack":
    case "drop":
      return ["gone", ...place, 0, 0, "", "", "", id];
    case "back":
      return ["back", ...place, 0, 0, "", "", "", id];
    case "dead":
      return [kind, ...place, 0, job.attempt, settlement.error, encodeMeta(job), payload, id];
    case "again": {
      const { delay, attempt, error = "", headers } = settlement;
      return [kind, ...place, delay, attempt, error, encodeMeta(job, headers), payload, id];
    }
  }
}
