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
import { freshHistory, nextTry, type RetryPolicy } from "../../../lib/core/backoff.ts";
import { type Clock, sleep } from "../../../lib/core/clock.ts";
import { messageOf } from "../../../lib/core/failure.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import type { Settlement } from "../driver.ts";
import { encode, type Fate, secondsOf, sizeOf, urgency } from "./codec.ts";
import type { Held, Reservations } from "./reservations.ts";
import { deadTubeOf, type Put, Refused, type Session } from "./session.ts";
import { Lost } from "./wire.ts";

const SETTLE_AGAIN: RetryPolicy = { delay: 250, backoff_factor: 2, max_delay: 10_000, window: 0 };
/** Of an error, where a job would not fit otherwise; room for it is kept free by every push. */
const SHORT_ERROR = 100;
/** How long beanstalkd keeps a dead letter for whoever looks at it, seconds. */
const DEAD_TTR = 60;

/** What they are given to live in. */
export interface EndingsHome {
  readonly pipeline: string;
  readonly config: BeanstalkConfig;
  readonly reservations: Reservations;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Aborted when nothing is settled any more. */
  readonly over: AbortSignal;
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
  #size = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(home: EndingsHome) {
    this.#home = home;
  }

  /** Resolves when nothing is on its way. */
  idle(): Promise<void> {
    if (this.#size === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  /** Resolves when it is over; rejects only after close. */
  async settle(held: Held, settlement: Settlement): Promise<void> {
    this.#size++;
    held.at.ending = true;
    try {
      await this.#settle(held, settlement);
    } finally {
      this.#home.reservations.remove(held);
      if (--this.#size === 0) {
        this.#idle?.resolve();
        this.#idle = undefined;
      }
    }
  }

  async #settle(held: Held, settlement: Settlement): Promise<void> {
    const { reservations, clock, over } = this.#home;
    const tries = freshHistory();
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
        const retry = nextTry(SETTLE_AGAIN, tries, clock.now());
        if (tries.streak === 1) this.#tell(messageOf(error));
        await sleep(clock, "delay" in retry ? retry.delay : SETTLE_AGAIN.max_delay, over);
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

  /** Once for each trouble. */
  #tell(reason: string): void {
    const { pipeline, emit } = this.#home;
    const error = `how a job ended cannot be stored, and is tried again: ${reason}`;
    emit("pipeline_down", { pipeline, driver: "beanstalk", error });
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
