/**
 * How deliveries end.
 *
 * | settlement | first                    | then                                                |
 * | ---------- | ------------------------ | --------------------------------------------------- |
 * | ack, drop  | –                        | deleted                                             |
 * | back       | –                        | released, in its place                              |
 * | again      | put anew                 | deleted                                             |
 * | dead       | put into the dead letters | deleted                                            |
 *
 * Invariants: what beanstalkd refuses is tried again by the one backoff; what was not answered is tried
 * again when the job is ours again; one that is gone then was ended the first time, or is told; a job
 * that does not fit any more with what is to be written stays as it is: buried, or released.
 */

import type { BeanstalkConfig } from "../../../lib/config/roadrunner/drivers/beanstalk.ts";
import type { Settlement } from "../driver.ts";
import { type Settler, SettleTries } from "../settle_tries.ts";
import { Underway } from "../underway.ts";
import { encode, type Fate, secondsOf, sizeOf, urgency } from "./codec.ts";
import type { Held, Reservations } from "./reservations.ts";
import { deadTubeOf, type Put, Refused, type Session } from "./session.ts";
import { Lost } from "./wire.ts";

/** Of an error, where a job would not fit otherwise; room for it is kept free by every push. */
const SHORT_ERROR = 100;
/** How long beanstalkd keeps a dead letter for whoever looks at it, seconds. */
const DEAD_TTR = 60;

/** What they are given to live in. */
export interface EndingsHome extends Settler {
  readonly config: BeanstalkConfig;
  readonly reservations: Reservations;
}

/** What is to be done with it. */
interface Todo {
  put?: Put | "does not fit";
  command: string;
  /** What beanstalkd says when that is done. */
  done: string;
}

/** See the file's comment. */
export class Endings {
  readonly #home: EndingsHome;
  readonly #underway = new Underway();

  constructor(home: EndingsHome) {
    this.#home = home;
  }

  /** Resolves when nothing is on its way. */
  idle(): Promise<void> {
    return this.#underway.idle();
  }

  /** Resolves when it is over; rejects only after close. */
  settle(held: Held, settlement: Settlement): Promise<void> {
    held.at.ending = true;
    return this.#underway.run(() =>
      this.#settle(held, settlement).finally(() => this.#home.reservations.remove(held))
    );
  }

  async #settle(held: Held, settlement: Settlement): Promise<void> {
    const { reservations, over } = this.#home;
    const tries = new SettleTries(this.#home);
    let wasPut = false;
    let wasSent = false;
    for (;;) {
      const session = await reservations.owner(held, over);
      if (session === undefined) {
        if (!wasSent) this.#unsettled(held, "it was given to others, or removed");
        return;
      }
      const { put, command, done } = this.#todo(held, settlement, session);
      try {
        if (put === "does not fit") this.#unsettled(held, TOO_BIG);
        else if (put !== undefined && !wasPut) {
          await session.put([put]);
          wasPut = true;
        }
        wasSent = true;
        const [{ word }] = await session.ask([command]);
        if (word === done) return;
        if (word !== "NOT_FOUND") throw new Refused(`beanstalkd says ${word} to ${command}`);
        // Its time was over; or the answer is that of a server that forgot everything.
        wasSent = false;
        reservations.loosen(held, session);
      } catch (error) {
        // Its connection gave it back; and perhaps it was put, and comes twice.
        if (error instanceof Lost) continue;
        await tries.again(error);
      }
    }
  }

  #todo(held: Held, settlement: Settlement, session: Session): Todo {
    const { at } = held;
    const { number } = at;
    const gone = { command: `delete ${number}`, done: "DELETED" };
    const back = (delay: number) => ({
      command: `release ${number} ${at.urgency} ${delay}`,
      done: "RELEASED",
    });
    switch (settlement.kind) {
      case "ack":
      case "drop":
        return gone;
      case "back":
        return back(0);
      case "again": {
        const put = this.#again(held, settlement, session);
        return put === "does not fit"
          ? { put, ...back(secondsOf(settlement.delay)) }
          : { put, ...gone };
      }
      case "dead": {
        const put = this.#dead(held, settlement.error, session);
        const buried = { command: `bury ${number} ${at.urgency}`, done: "BURIED" };
        return put === "does not fit" ? { put, ...buried } : { put, ...gone };
      }
    }
  }

  #again(
    held: Held,
    { headers, attempt, error, delay }: Extract<Settlement, { kind: "again" }>,
    session: Session,
  ): Todo["put"] {
    const { tube } = this.#home.config;
    const { at } = held;
    const body = fitting({ ...held, headers }, { attempt, error }, at.ttr, session.max_size);
    if (body === undefined) return "does not fit";
    return { tube, urgency: at.urgency, delay: secondsOf(delay), ttr: at.ttr, body };
  }

  #dead(held: Held, error: string, session: Session): Todo["put"] {
    const fate = { attempt: held.attempt, error, died_at: this.#home.clock.wall() };
    const body = fitting(held, fate, held.at.ttr, session.max_size);
    if (body === undefined) return "does not fit";
    // All of one urgency, so that the oldest is the first.
    const where = { tube: deadTubeOf(this.#home.config), urgency: urgency(0), delay: 0 };
    return { ...where, ttr: DEAD_TTR, body };
  }

  #unsettled({ id, name }: Held, error: string): void {
    const { pipeline, emit } = this.#home;
    emit("job_unsettled", { pipeline, job: name, id, error });
  }
}

const TOO_BIG = "with its new headers, or as a dead letter, it is larger than beanstalkd takes " +
  "(option -z): it stays as it was";

/** Its body, where it has room; the reason may be shortened for that. */
function fitting(job: Held, fate: Fate, ttr: number, max: number): Uint8Array[] | undefined {
  const body = encode(job, fate, ttr);
  if (sizeOf(body) <= max) return body;
  const short = encode(job, { ...fate, error: fate.error?.slice(0, SHORT_ERROR) }, ttr);
  return sizeOf(short) <= max ? short : undefined;
}
