/**
 * The jobs of a pipeline in a tube of beanstalkd.
 *
 * | a job is | at beanstalkd                                | here                                   |
 * | -------- | -------------------------------------------- | -------------------------------------- |
 * | waiting  | ready in the tube                            | –                                      |
 * | delayed  | delayed in the tube                          | –                                      |
 * | reserved | reserved by our connection (reservations.ts) | held; `#ahead`, when nobody has it yet |
 * | dead     | ready in `<tube>.dead` (dead.ts)             | –                                      |
 *
 * | state  | entered by | it does                                                         |
 * | ------ | ---------- | --------------------------------------------------------------- |
 * | made   | –          | nothing                                                         |
 * | open   | open()     | everything; without a connection it waits for one               |
 * | closed | dispose    | nothing; what was held waits again, at once or after its time   |
 *
 * Invariants: takes are sent one after the other; while nobody waits, nothing waits at beanstalkd
 * either; whoever gives up waiting has nothing. A pipeline has a connection of its own, because at
 * beanstalkd it is connections that have tubes and reservations.
 */

import type {
  BeanstalkBroker,
  BeanstalkConfig,
} from "../../../lib/config/roadrunner/drivers/beanstalk.ts";
import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import { abortable, within } from "../../../lib/core/clock.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import { Closing } from "../closing.ts";
import type {
  Abilities,
  DeadJob,
  Delivery,
  Driver,
  DriverHost,
  DriverStat,
  DriverState,
  Job,
  Settlement,
} from "../driver.ts";
import { InTurn } from "../in_turn.ts";
import { CLOSE_LIMIT, Link } from "../link.ts";
import { decode, encode, secondsOf, sizeOf, urgency } from "./codec.ts";
import { DeadLetters } from "./dead.ts";
import { Endings } from "./endings.ts";
import { type Held, Reservations } from "./reservations.ts";
import { deadTubeOf, type Put, Refused, type Reserved, Session } from "./session.ts";
import { Lost, whomOf } from "./wire.ts";

export const CAN: Abilities = {
  delay: true,
  priority: true,
  dead: true,
  unique: false,
  durable: true,
};

/** What to do about a beanstalkd that does not answer. */
export const FIX = "see whether beanstalkd runs, and correct beanstalk.addr if it is elsewhere";
/** Bytes of a job that later come to it: why it failed, and how often. */
const RESERVE = 1024;
const VOLATILE = "it keeps no log (option -b): its end loses all jobs";

/** See the file's comment. */
export class BeanstalkDriver implements Driver {
  readonly can = CAN;
  onState: (() => void) | undefined;
  readonly #pipeline: string;
  readonly #host: Pick<DriverHost, "clock" | "emit">;
  readonly #broker: BeanstalkBroker;
  readonly #config: BeanstalkConfig;
  readonly #link: Link<Session>;
  readonly #reservations: Reservations;
  readonly #endings: Endings;
  readonly #letters: DeadLetters;
  #settings: PipelineConfig;
  readonly #takes = new InTurn();
  /** Those who wait in take(). */
  #takers = 0;
  /** Ends when there may be a job. */
  #arriving: Promise<void> | undefined;
  /** Came while somebody waited. */
  #ahead: Held[] = [];
  #wasVolatile = false;
  readonly #closing: Closing;

  constructor(
    pipeline: string,
    settings: PipelineConfig,
    broker: BeanstalkBroker,
    host: Pick<DriverHost, "clock" | "emit">,
  ) {
    const { clock, emit } = host;
    this.#pipeline = pipeline;
    this.#closing = new Closing(pipeline);
    this.#settings = settings;
    this.#broker = broker;
    this.#host = host;
    const config = this.#config = settings.config as BeanstalkConfig;
    const place = { broker, config, clock };
    this.#link = new Link({
      whom: whomOf(broker),
      fix: FIX,
      dial: (signal) => Session.dial(place, signal),
    }, clock);
    this.#link.onState(() => this.#turned());
    const reservations = this.#reservations = new Reservations({
      clock,
      session: () => this.#link.connection,
      decode: (one) => this.#decode(one),
    });
    const settler = { pipeline, driver: "beanstalk", clock, emit, over: this.#closing.over };
    this.#endings = new Endings({ ...settler, config, reservations });
    this.#letters = new DeadLetters(deadTubeOf(config));
  }

  get state(): DriverState {
    return this.#link.state;
  }

  open(): Promise<void> {
    if (this.#closing.hasBegun) return Promise.reject(this.#closing.failure());
    this.#link.open();
    return Promise.resolve();
  }

  configure(settings: PipelineConfig): void {
    this.#settings = settings;
  }

  async push(jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    this.#closing.check();
    let session: Session | undefined;
    try {
      session = await this.#link.ready(signal);
      const { max_size } = session;
      const putting = session.put(jobs.map((job) => this.#putOf(job, max_size)));
      await abortable(putting, signal);
    } catch (error) {
      if (!signal?.aborted) throw this.#refusal("the jobs were not stored", error);
      if (session === undefined) throw this.#link.failure();
      throw new Failure(
        `${whomOf(this.#broker)} did not confirm in time, the jobs may be stored or not`,
        { fix: "see whether its disk is busy, or make jobs.timeout longer" },
      );
    }
  }

  /** @throws Failure when it is too large */
  #putOf(job: Job, max_size: number): Put {
    const ttr = secondsOf(this.#broker.timeout);
    const body = encode(job, { attempt: 1 }, ttr);
    const size = sizeOf(body) + RESERVE;
    if (size > max_size) {
      throw new Failure(
        `job "${job.id}" needs ${size} bytes at beanstalkd (${job.payload.length} of them are its ` +
          `payload), and ${whomOf(this.#broker)} takes at most ${max_size}`,
        { fix: "start it with a larger -z, or put what is long elsewhere" },
      );
    }
    const { tube } = this.#config;
    return { tube, urgency: urgency(job.priority), delay: secondsOf(job.delay), ttr, body };
  }

  // Taking.

  async take(most: number, signal: AbortSignal): Promise<Delivery[]> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    this.#takers++;
    try {
      for (;;) {
        const jobs = await this.#some(most, either);
        if (jobs.length > 0) return jobs;
      }
    } finally {
      if (--this.#takers === 0) this.#rest();
    }
  }

  /** Jobs; none: somebody should look again. @throws the signal's reason; Failure */
  async #some(most: number, signal: AbortSignal): Promise<Held[]> {
    try {
      const jobs = await this.#takes.lend(
        () => this.#fetch(most, signal),
        signal,
        (jobs) => this.#handBack(jobs),
      );
      if (jobs.length > 0) return jobs;
      await abortable(this.#arrival(), signal);
      return [];
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof Lost) return []; // the next round waits for another connection
      throw this.#refusal("no job can be taken", error);
    }
  }

  async #fetch(most: number, signal: AbortSignal): Promise<Held[]> {
    for (;;) {
      const session = await this.#link.ready(signal);
      this.#ahead = this.#ahead.filter(({ at }) => !at.gone);
      if (this.#ahead.length > 0) return this.#ahead.splice(0, most);
      const some = await this.#reserve(session, most);
      const jobs = await this.#add(session, some);
      // Behind garbage there may be jobs.
      if (jobs.length > 0 || some.length === 0) return jobs;
    }
  }

  async #reserve(session: Session, most: number): Promise<Reserved[]> {
    try {
      return await session.reserve(most);
    } catch (error) {
      // Some may be reserved, and nobody has them: the end of the connection gives them back.
      session.lose(error);
      throw error;
    }
  }

  /** What of it is for workers. */
  async #add(session: Session, some: readonly Reserved[]): Promise<Held[]> {
    const all = await Promise.all(some.map((one) => this.#reservations.add(session, one)));
    const fresh = all.filter((held) => held !== undefined);
    for (const held of fresh) {
      const { id, at: { decoded: { garbage } } } = held;
      if (garbage === undefined) continue;
      this.#host.emit("job_unreadable", { pipeline: this.#pipeline, id, reason: garbage });
      // Rejects only after close; the next daemon finds it again.
      this.#endings.settle(held, { kind: "dead", error: garbage }).catch(() => {});
    }
    return fresh.filter(({ at }) => at.decoded.garbage === undefined);
  }

  /** Resolves when there may be jobs; all who wait, wait for the same. @throws Lost */
  #arrival(): Promise<void> {
    return this.#arriving ??= this.#arrive().finally(() => this.#arriving = undefined);
  }

  async #arrive(): Promise<void> {
    const session = await this.#link.ready(this.#closing.over);
    const one = await session.arrival((one) => {
      const { isStranger, priority } = this.#decode(one);
      return isStranger ? undefined : urgency(priority);
    });
    if (one !== undefined) this.#ahead.push(...await this.#add(session, [one]));
    if (this.#takers === 0) this.#rest();
  }

  /** Nobody waits any more. */
  #rest(): void {
    this.#link.connection?.stopWaiting();
    this.#handBack(this.#ahead.splice(0));
  }

  #handBack(jobs: readonly Held[]): void {
    // Rejects only after close; and then all that was held has been handed back.
    for (const job of jobs) this.#endings.settle(job, { kind: "back" }).catch(() => {});
  }

  #decode({ body, number }: Reserved) {
    return decode(body, number, this.#settings.priority);
  }

  // Ending.

  async settle(delivery: Delivery, settlement: Settlement): Promise<void> {
    this.#closing.check();
    const held = delivery as Held;
    if (held.at.ending) throw this.#closing.settledTwice(delivery);
    await this.#endings.settle(held, settlement);
  }

  // Questions.

  async stat(): Promise<DriverStat> {
    const session = await this.#asked();
    const [facts, dead] = await Promise.all([
      session.tube(this.#config.tube),
      this.#letters.count(session),
    ]);
    const of = (what: string) => Number(facts.get(`current-jobs-${what}`) ?? 0);
    return { waiting: of("ready"), delayed: of("delayed"), reserved: of("reserved"), dead };
  }

  async dead(most: number, after?: string): Promise<DeadJob[]> {
    return await this.#letters.list(await this.#asked(), most, after);
  }

  async retry(id: string): Promise<boolean> {
    const session = await this.#asked();
    return await this.#letters.take(
      session,
      id,
      (job) => session.put([this.#putOf(job, session.max_size)]),
    );
  }

  async drop(id: string): Promise<boolean> {
    return await this.#letters.take(await this.#asked(), id);
  }

  /** @throws Failure */
  async #asked(): Promise<Session> {
    this.#closing.check();
    return await this.#link.soon();
  }

  // The link.

  #turned(): void {
    const session = this.#link.connection;
    if (session !== undefined) {
      // First of all that is asked on it.
      this.#reservations.regain();
      if (session.isVolatile && !this.#wasVolatile) {
        const facts = { pipeline: this.#pipeline, driver: "beanstalk", reason: VOLATILE };
        this.#host.emit("pipeline_volatile", facts);
      }
      this.#wasVolatile = session.isVolatile;
    }
    this.onState?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closing.begin()) return;
    const left = await within(this.#host.clock, CLOSE_LIMIT, this.#leave());
    const jobs = this.#reservations.size;
    this.#closing.end();
    this.#reservations.stop();
    await this.#link.close();
    if (jobs === 0) return;
    const reason = left.done ? "it is not connected" : "it did not answer in time";
    this.#host.emit("jobs_left_behind", { pipeline: this.#pipeline, jobs, reason });
  }

  /** What is on its way arrives, and what is held waits again. */
  async #leave(): Promise<void> {
    await Promise.all([this.#takes.idle, this.#endings.idle()]);
    const session = this.#link.connection;
    if (session === undefined) return;
    try {
      const all = [...this.#reservations.all()];
      await session.ask(all.map(({ at }) => `release ${at.number} ${at.urgency} 0`));
      for (const held of all) this.#reservations.remove(held);
    } catch (error) {
      if (!(error instanceof Lost)) throw error; // else its end gives them back
    }
  }

  #refusal(what: string, error: unknown): Failure {
    if (this.#closing.hasBegun) return this.#closing.failure();
    if (error instanceof Failure && !(error instanceof Lost)) return error;
    const sure = error instanceof Lost ? `it is not known whether ${what}` : what;
    const fix = error instanceof Lost
      ? "try again"
      : "see whether beanstalkd has memory and disk to work with";
    const whom = whomOf(this.#broker);
    const why = error instanceof Refused ? `${whom}: ${error.message}` : messageOf(error);
    return new Failure(`pipeline "${this.#pipeline}": ${sure}: ${why}`, { fix, cause: error });
  }
}
