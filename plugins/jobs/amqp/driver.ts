/**
 * Jobs at RabbitMQ.
 *
 * | a job is | at RabbitMQ                                  | here                                     |
 * | -------- | -------------------------------------------- | ---------------------------------------- |
 * | waiting  | in the queue; or delivered ahead, `prefetch` | `#ahead`, when it was delivered          |
 * | delayed  | in a queue for its delay (delays.ts)         | –                                        |
 * | reserved | delivered, not acknowledged                  | `#held`; `#ending` while being settled   |
 * | dead     | in `<queue>.dead` (dead.ts)                  | –                                        |
 *
 * | consumer | entered by                      | deliveries                            |
 * | -------- | ------------------------------- | ------------------------------------- |
 * | off      | –; a session that was lost      | none                                  |
 * | on       | take()                          | come, `prefetch` of them not yet over |
 * | off      | the last who waited has left,   | those ahead are handed back           |
 * |          | or nobody took for IDLE         |                                       |
 *
 * Invariants: a job is acknowledged after what becomes of it was confirmed; with a session ends all
 * that it delivered: RabbitMQ delivers it again, and what was settled meanwhile is settled then
 * (ended.ts), without a worker; whoever waits gets what came, in its order.
 */

import type { ConsumeMessage } from "amqplib";
import type { AmqpBroker, AmqpConfig } from "../../../lib/config/roadrunner/drivers/amqp.ts";
import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import { abortable, type Timer, within } from "../../../lib/core/clock.ts";
import { Failure } from "../../../lib/core/failure.ts";
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
import { CLOSE_LIMIT, Link } from "../link.ts";
import { Waiters } from "../waiters.ts";
import { decode, type Decoded, isOurs } from "./codec.ts";
import { type Connections, whomOf } from "./connection.ts";
import { DeadLetters } from "./dead.ts";
import { Delayed } from "./delays.ts";
import { type Reservation, Settling } from "./settling.ts";
import { Parcels } from "./parcels.ts";
import { deadQueueOf, Session } from "./session.ts";

/** What it can. */
export const CAN: Abilities = {
  delay: true,
  priority: false,
  dead: true,
  unique: false,
  durable: true,
};

/** Without anybody who takes, what comes is for others, ms. */
const IDLE = 1000;
/** Looks at a queue whose jobs are just coming, for numbers of one moment. */
const MAX_LOOKS = 5;

/** Where a driver is made. */
export interface AmqpPlace {
  readonly host: Pick<DriverHost, "clock" | "emit">;
  readonly connections: Connections;
  readonly broker: AmqpBroker;
}

/** See the file's comment. */
export class AmqpDriver implements Driver {
  readonly can = CAN;
  onState: (() => void) | undefined;
  readonly #pipeline: string;
  readonly #closing: Closing;
  readonly #place: AmqpPlace;
  readonly #config: AmqpConfig;
  readonly #link: Link<Session>;
  readonly #parcels: Parcels;
  readonly #delayed = new Delayed();
  readonly #letters: DeadLetters;
  readonly #settling: Settling;
  readonly #takers = new Waiters<Delivery[], number>();
  readonly #held = new Map<Delivery, Reservation>();
  #settings: PipelineConfig;
  #ahead: [Delivery, Reservation][] = [];
  /** Jobs should come. */
  #wanted = false;
  #isSteering = false;
  #isHanding = false;
  /** With which the consumer was begun. */
  #prefetch = 0;
  /** Deliveries so far. */
  #came = 0;
  /** Clock milliseconds; the last call of take(). */
  #tookAt = 0;
  #idle: Timer | undefined;

  constructor(pipeline: string, settings: PipelineConfig, place: AmqpPlace) {
    const { broker, connections, host } = place;
    const { clock, emit } = host;
    this.#pipeline = pipeline;
    this.#closing = new Closing(pipeline);
    this.#settings = settings;
    this.#place = place;
    const config = settings.config as AmqpConfig;
    this.#config = config;
    const spec = {
      whom: whomOf(broker),
      fix: "see whether RabbitMQ runs, and correct amqp.addr if it is elsewhere",
      dial: () => Session.open({ connections, broker, config, clock }),
    };
    this.#link = new Link(spec, clock);
    this.#link.onState(() => {
      this.#ahead = this.#ahead.filter(([, { session }]) => session.alive);
      this.onState?.();
      this.#steer();
    });
    this.#parcels = new Parcels(pipeline, config);
    this.#letters = new DeadLetters(deadQueueOf(config));
    this.#settling = new Settling({
      pipeline,
      driver: "amqp",
      clock,
      emit,
      over: this.#closing.over,
      config,
      parcels: this.#parcels,
      delayed: this.#delayed,
    });
  }

  get state(): DriverState {
    return this.#link.state;
  }

  open(): Promise<void> {
    this.#link.open();
    return Promise.resolve();
  }

  configure(settings: PipelineConfig): void {
    this.#settings = settings;
    this.#steer();
  }

  async push(jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    this.#closing.check();
    const parcels = jobs.map((job) => this.#parcels.pushed(job));
    const delays = this.#parcels.delays(jobs.map(({ delay }) => delay));
    const session = await this.#link.reach(signal);
    try {
      await abortable(this.#publish(session, parcels, delays), signal);
    } catch (error) {
      if (!signal?.aborted) throw error;
      const why = session.blocked === undefined ? "" : `: it takes none now (${session.blocked})`;
      throw new Failure(
        `${
          whomOf(this.#place.broker)
        } did not confirm in time, the jobs may be stored or not${why}`,
        { fix: "see whether RabbitMQ has memory and disk, or make jobs.timeout longer" },
      );
    }
  }

  async #publish(
    session: Session,
    parcels: Parameters<Session["publish"]>[0],
    delays: Parameters<Session["lease"]>[0],
  ): Promise<void> {
    await session.lease(delays);
    this.#delayed.use(delays, this.#place.host.clock.now());
    await session.publish(parcels);
  }

  take(most: number, signal: AbortSignal): Promise<Delivery[]> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#closing.hasBegun) return Promise.reject(this.#closing.failure());
    this.#tookAt = this.#place.host.clock.now();
    this.#want(true);
    if (this.#takers.size === 0 && this.#ahead.length > 0) {
      return Promise.resolve(this.#reserve(most));
    }
    return this.#takers.wait(most, signal, () => {
      if (this.#takers.size === 0) this.#want(false);
    });
  }

  settle(delivery: Delivery, settlement: Settlement): Promise<void> {
    if (this.#closing.hasBegun) return Promise.reject(this.#closing.failure());
    const reservation = this.#held.get(delivery);
    if (reservation === undefined) return Promise.reject(this.#closing.settledTwice(delivery));
    this.#held.delete(delivery);
    return this.#settling.settle(delivery, reservation, settlement);
  }

  async stat(): Promise<DriverStat> {
    const session = await this.#asked();
    const { name } = this.#config.queue;
    const reserved = this.#held.size + this.#settling.size;
    if (name === "") return { waiting: 0, delayed: 0, reserved, dead: 0 };
    let waiting = 0;
    let dead = 0;
    for (let look = 0; look < MAX_LOOKS; look++) {
      const came = this.#came;
      waiting = await session.waiting(name);
      dead = await this.#letters.count(session);
      // What was delivered before an answer is here with the one after it.
      if (!session.keepsDead) await session.waiting(name);
      if (came === this.#came) break;
    }
    let delayed = 0;
    for (const queue of this.#delayed.at(this.#place.host.clock.now())) {
      delayed += await session.delayed(queue);
    }
    return {
      waiting: waiting + this.#ahead.length,
      delayed,
      reserved: this.#held.size + this.#settling.size,
      dead,
    };
  }

  async dead(most: number, after?: string): Promise<DeadJob[]> {
    if (this.#config.queue.name === "") return [];
    return await this.#letters.list(await this.#asked(), most, after);
  }

  async retry(id: string): Promise<boolean> {
    const session = await this.#asked();
    const again = (job: Decoded) => session.publish([this.#parcels.again(job)]);
    return await this.#letters.take(session, id, again);
  }

  async drop(id: string): Promise<boolean> {
    return await this.#letters.take(await this.#asked(), id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closing.begin()) return;
    this.#idle?.cancel();
    this.#takers.refuse(this.#closing.failure());
    const session = this.#link.connection;
    if (session !== undefined) {
      await within(this.#place.host.clock, CLOSE_LIMIT, this.#goodbye(session));
    }
    this.#closing.end();
    await this.#link.close();
  }

  /** What is being settled ends; the end of the session hands back the rest. */
  async #goodbye(session: Session): Promise<void> {
    try {
      await session.cancel();
      await this.#settling.idle();
      if (this.#config.queue.delete_on_stop) await session.delete(this.#config.queue.name);
    } catch (error) {
      // What RabbitMQ did not hear it takes back with the session.
      session.lose(error);
    }
  }

  // The consumer.

  #want(wanted: boolean): void {
    this.#wanted = wanted;
    this.#steer();
  }

  /** A pipeline that is full does not wait here, nor does one that was paused then. */
  #watchIdle(): void {
    const { clock } = this.#place.host;
    this.#idle ??= clock.timer(IDLE, () => {
      this.#idle = undefined;
      if (this.#takers.size > 0 || this.#closing.hasBegun) return;
      if (clock.now() - this.#tookAt < IDLE) this.#watchIdle();
      else this.#want(false);
    });
  }

  /** Begins or ends the consumer, one step at a time, until it is what is wanted. */
  async #steer(): Promise<void> {
    if (this.#isSteering || this.#config.queue.name === "") return;
    this.#isSteering = true;
    let session: Session | undefined;
    try {
      for (;;) {
        session = this.#link.connection;
        if (session === undefined || !session.alive || this.#closing.hasBegun) return;
        const isOn = session.consuming !== undefined;
        const { prefetch } = this.#settings;
        if (isOn && (!this.#wanted || prefetch !== this.#prefetch)) {
          await session.cancel();
          if (!this.#wanted) this.#release();
        } else if (!isOn && this.#wanted) {
          this.#prefetch = prefetch;
          const from = session;
          await from.consume(prefetch, (message) => this.#come(from, message));
        } else {
          return;
        }
      }
    } catch (error) {
      // A refused command ends the session, and the next one is steered anew.
      session?.lose(error);
    } finally {
      this.#isSteering = false;
    }
  }

  /** Hands back what came and nobody has. */
  #release(): void {
    for (const [, { session, message }] of this.#ahead.splice(0)) {
      if (session.alive) session.nack(message, true);
    }
  }

  #come(session: Session, message: ConsumeMessage): void {
    if (this.#closing.hasBegun || !session.alive) return;
    this.#came++;
    const { garbage, died_at: _, ...delivery } = decode(message, this.#settings.priority);
    const key = isOurs(message) ? String(message.properties.messageId) : undefined;
    const reservation = { session, message, key };
    if (message.fields.redelivered && this.#settling.settled(delivery, reservation)) return;
    if (garbage !== undefined) {
      const { id, name: job, attempt } = delivery;
      const facts = { pipeline: this.#pipeline, job, id, attempt, error: garbage, then: "dead" };
      this.#place.host.emit("job_failed", facts);
      return this.#settling.bury(delivery, reservation, garbage);
    }
    this.#ahead.push([delivery, reservation]);
    if (this.#isHanding || this.#takers.size === 0) return;
    // All that came at once is handed out at once.
    this.#isHanding = true;
    queueMicrotask(() => {
      this.#isHanding = false;
      this.#takers.serve((most) => this.#ahead.length > 0 ? this.#reserve(most) : undefined);
    });
  }

  #reserve(most: number): Delivery[] {
    const some = this.#ahead.splice(0, most);
    this.#watchIdle();
    for (const [delivery, reservation] of some) this.#held.set(delivery, reservation);
    return some.map(([delivery]) => delivery);
  }

  // The link.

  /** For questions. @throws Failure */
  async #asked(): Promise<Session> {
    this.#closing.check();
    return await this.#link.soon();
  }
}
