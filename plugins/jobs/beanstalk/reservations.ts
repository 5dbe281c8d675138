/**
 * The jobs that we hold at beanstalkd, and whether it knows.
 *
 * | a job is | entered by                                      | next                                       |
 * | -------- | ----------------------------------------------- | ------------------------------------------ |
 * | ours     | add(), a session that has it again              | over; loose                                |
 * | loose    | the end of its session; NOT_FOUND               | ours, when it is got again; gone           |
 * | gone     | beanstalkd has none of that number; too late    | –                                          |
 * | over     | remove()                                        | –                                          |
 *
 * A connection that ends gives its jobs back, so a loose one is reserved again by its number, before
 * anything else is taken, and after that with every beat: nobody notices. While it is at the old
 * connection, of whose end beanstalkd knows nothing, it cannot be had; that may take longer than its
 * time-to-run, at which beanstalkd 1.12 does not always look. After that it is nobody's of ours.
 *
 * Invariants: numbers begin anew at a beanstalkd that forgot everything, so what is got again is
 * compared with what it was; what is ours is touched three times in its time-to-run.
 */

import type { Clock, Timer } from "../../../lib/core/clock.ts";
import type { Delivery, Job } from "../driver.ts";
import { type Decoded, urgency } from "./codec.ts";
import { Refused, type Reserved, type Session } from "./session.ts";
import { Lost } from "./wire.ts";

/** How much longer than its time-to-run a loose job is looked for, ms. */
const GRACE = 5000;

/** A job that is reserved. */
export interface Held extends Delivery {
  readonly at: HeldAt;
}

/** What of a job is beanstalkd's. */
export interface HeldAt {
  readonly number: string;
  readonly decoded: Decoded;
  readonly urgency: number;
  /** Seconds. */
  readonly ttr: number;
  /** On whose connection it is reserved; undefined: it is loose. */
  session?: Session;
  /** Clock milliseconds: since when it is loose, while beanstalkd can be asked. */
  since?: number;
  /** It is another's, or nobody's. */
  gone?: boolean;
  /** Somebody ends it. */
  ending?: boolean;
}

/** What they are given to live in. */
export interface ReservationsHome {
  readonly clock: Clock;
  /** The session of now. */
  session(): Session | undefined;
  decode(one: Reserved): Decoded;
}

/** See the file's comment. */
export class Reservations {
  readonly #home: ReservationsHome;
  readonly #all = new Map<string, Held>();
  readonly #waiting = new Map<Held, (() => void)[]>();
  #beat: { timer: Timer; at: number } | undefined;
  #isLooking = false;
  #lookAgain = false;

  constructor(home: ReservationsHome) {
    this.#home = home;
  }

  get size(): number {
    return this.#all.size;
  }

  /** What is held. */
  all(): Iterable<Held> {
    return this.#all.values();
  }

  /** Its delivery; undefined: it is held already, and ours again. @throws Lost */
  async add(session: Session, one: Reserved): Promise<Held | undefined> {
    const { number } = one;
    const decoded = this.#home.decode(one);
    const known = this.#all.get(number);
    if (known !== undefined && isSame(known.at.decoded, decoded)) {
      this.#have(known, session);
      return undefined;
    }
    if (known !== undefined) this.#lose(known);
    const facts = decoded.isStranger ? await session.stats(number) : undefined;
    const at: HeldAt = {
      number,
      decoded,
      urgency: facts === undefined ? urgency(decoded.priority) : Number(facts.get("pri") ?? 0),
      ttr: facts === undefined ? decoded.ttr : Number(facts.get("ttr") ?? 1),
      session,
    };
    const held: Held = { ...jobOf(decoded), attempt: decoded.attempt, error: decoded.error, at };
    this.#all.set(number, held);
    this.#arm(at.ttr);
    return held;
  }

  /** It is over. */
  remove(held: Held): void {
    const { number } = held.at;
    if (this.#all.get(number) === held) this.#all.delete(number);
    this.#wake(held);
    if (this.#all.size === 0) this.stop();
  }

  /** beanstalkd says that it is not ours. */
  loosen({ at }: Held, session: Session): void {
    if (at.session !== session) return;
    at.session = undefined;
    at.since = this.#home.clock.now();
    this.regain();
  }

  /** The session that has it; undefined: it is gone. @throws the signal's reason */
  async owner(held: Held, signal: AbortSignal): Promise<Session | undefined> {
    const { at } = held;
    for (;;) {
      if (at.gone) return undefined;
      if (at.session?.alive) return at.session;
      await new Promise<void>((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const abort = () => reject(signal.reason);
        const go = () => {
          signal.removeEventListener("abort", abort);
          resolve();
        };
        const others = this.#waiting.get(held) ?? [];
        this.#waiting.set(held, [...others, go]);
        signal.addEventListener("abort", abort, { once: true });
      });
    }
  }

  /** Loose jobs are reserved again, as far as they can be had. */
  async regain(): Promise<void> {
    if (this.#isLooking) return void (this.#lookAgain = true);
    this.#isLooking = true;
    try {
      do {
        this.#lookAgain = false;
        await this.#look();
      } while (this.#lookAgain);
    } finally {
      this.#isLooking = false;
    }
  }

  stop(): void {
    this.#beat?.timer.cancel();
    this.#beat = undefined;
  }

  /** The next beat is not later than a third of that time, in seconds. */
  #arm(ttr: number): void {
    const { clock } = this.#home;
    const at = clock.now() + ttr * 1000 / 3;
    if (this.#beat !== undefined && this.#beat.at <= at) return;
    this.#beat?.timer.cancel();
    this.#beat = { at, timer: clock.timer(at - clock.now(), () => this.#onBeat()) };
  }

  async #onBeat(): Promise<void> {
    this.#beat = undefined;
    this.#arm(Math.min(...[...this.#all.values()].map(({ at }) => at.ttr)));
    await this.regain();
    const session = this.#home.session();
    if (session === undefined) return;
    const ours = [...this.#all.values()].filter(({ at }) => at.session === session);
    try {
      const replies = await session.ask(ours.map(({ at }) => `touch ${at.number}`));
      for (const [index, { word }] of replies.entries()) {
        const held = ours[index];
        const isHeld = this.#all.get(held.at.number) === held && !held.at.ending;
        if (word !== "TOUCHED" && isHeld) this.loosen(held, session);
      }
    } catch (error) {
      if (!(error instanceof Lost)) throw error; // else they are loose, and the link says why
    }
  }

  async #look(): Promise<void> {
    const session = this.#home.session();
    if (session === undefined) return;
    const now = this.#home.clock.now();
    const loose = [...this.#all.values()].filter(({ at }) => at.session !== session);
    for (const { at } of loose) {
      if (at.session !== undefined) at.since = now;
      at.session = undefined;
    }
    try {
      const found = await session.reserveJobs(loose.map(({ at }) => at.number));
      await Promise.all(loose.map((held, index) => this.#regained(session, held, found[index])));
    } catch (error) {
      // The next session looks again; what is refused, the next beat.
      if (!(error instanceof Lost || error instanceof Refused)) throw error;
    }
  }

  async #regained(session: Session, held: Held, found: Reserved | undefined): Promise<void> {
    const { at } = held;
    if (this.#all.get(at.number) !== held || at.session !== undefined) return;
    if (found !== undefined) {
      const decoded = this.#home.decode(found);
      if (isSame(at.decoded, decoded)) return this.#have(held, session);
      this.#lose(held);
      // Numbers began anew: it is a job like any other.
      const pri = (await session.stats(at.number)).get("pri") ?? urgency(decoded.priority);
      return void await session.ask([`release ${at.number} ${pri} 0`]);
    }
    const isThere = (await session.stats(at.number)).size > 0;
    const late = this.#home.clock.now() - at.since! > at.ttr * 1000 + GRACE;
    if (!isThere || late) this.#lose(held);
  }

  #have(held: Held, session: Session): void {
    held.at.session = session;
    held.at.since = undefined;
    this.#wake(held);
  }

  #lose(held: Held): void {
    held.at.gone = true;
    this.remove(held);
  }

  #wake(held: Held): void {
    for (const go of this.#waiting.get(held) ?? []) go();
    this.#waiting.delete(held);
  }
}

/** Whether it is the same message. */
function isSame(one: Decoded, other: Decoded): boolean {
  if (one.key !== other.key || one.payload.length !== other.payload.length) return false;
  return one.key !== "" || one.payload.every((byte, at) => byte === other.payload[at]);
}

function jobOf(decoded: Decoded): Job {
  const { id, name, payload, headers, priority, delay, auto_ack, unique } = decoded;
  return { id, name, payload, headers, priority, delay, auto_ack, unique };
}
