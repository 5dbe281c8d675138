/**
 * How deliveries end.
 *
 * | settlement | first, and confirmed          | then                                              |
 * | ---------- | ----------------------------- | ------------------------------------------------- |
 * | ack        | –                             | acknowledged                                      |
 * | drop       | –                             | rejected; with `requeue_on_fail` handed back      |
 * | back       | –                             | handed back, in its place                         |
 * | again      | published anew                | acknowledged                                      |
 * | dead       | published as dead letter      | acknowledged                                      |
 *
 * Invariants: what fails is tried again by the one backoff while its session lives; with the session
 * the reservation ends, and what was not done by then is remembered, and done when RabbitMQ delivers
 * the message again.
 */

import type { ConsumeMessage } from "amqplib";
import type { AmqpConfig } from "../../../lib/config/roadrunner/drivers/amqp.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { Delivery, Settlement } from "../driver.ts";
import { type Settler, SettleTries } from "../settle_tries.ts";
import { Underway } from "../underway.ts";
import type { Delayed } from "./delays.ts";
import { Ended } from "./ended.ts";
import type { Parcels } from "./parcels.ts";
import { deadQueueOf, type Session } from "./session.ts";

/** Deliveries whose end RabbitMQ may not have heard of: more than are ever on their way. */
const MAX_ENDED = 20_000;

/** A delivery as RabbitMQ knows it. */
export interface Reservation {
  readonly session: Session;
  readonly message: ConsumeMessage;
  /** The id that we gave the message. */
  readonly key: string | undefined;
}

/** What it needs. */
export interface SettlingHost extends Settler {
  readonly config: AmqpConfig;
  readonly parcels: Parcels;
  readonly delayed: Delayed;
}

/** See the file's comment. */
export class Settling {
  readonly #host: SettlingHost;
  readonly #ended = new Ended(MAX_ENDED);
  readonly #underway = new Underway();
  readonly #dead: string;

  constructor(host: SettlingHost) {
    this.#host = host;
    this.#dead = deadQueueOf(host.config);
  }

  /** Deliveries that are being settled. */
  get size(): number {
    return this.#underway.size;
  }

  /** Resolves when none is. */
  idle(): Promise<void> {
    return this.#underway.idle();
  }

  /** @throws Failure when that is left to another delivery, or after close() */
  settle(delivery: Delivery, reservation: Reservation, settlement: Settlement): Promise<void> {
    return this.#underway.run(() => this.#settle(delivery, reservation, settlement));
  }

  /** Nobody waits for it. */
  bury(delivery: Delivery, reservation: Reservation, error: string): void {
    // Rejected only when it is delivered again, or by close(), which hands it back.
    this.settle(delivery, reservation, { kind: "dead", error }).catch(() => {});
  }

  /** Does what was to be done with a delivery that came again. @returns false: nothing was */
  settled(delivery: Delivery, reservation: Reservation): boolean {
    const { key } = reservation;
    const settlement = key === undefined ? undefined : this.#ended.recall(key);
    if (settlement === undefined) return false;
    this.settle(delivery, reservation, settlement).catch(() => {}); // as in bury()
    return true;
  }

  async #settle(
    delivery: Delivery,
    reservation: Reservation,
    settlement: Settlement,
  ): Promise<void> {
    const { session } = reservation;
    const tries = new SettleTries(this.#host);
    let todo = settlement;
    while (session.alive) {
      try {
        if (todo.kind === "again" || todo.kind === "dead") {
          await this.#publish(session, delivery, todo);
          todo = { kind: "ack" };
        }
        return this.#finish(reservation, todo);
      } catch (error) {
        if (!session.alive) break;
        await tries.again(error);
      }
    }
    this.#leave(delivery, reservation, todo);
  }

  async #publish(
    session: Session,
    delivery: Delivery,
    settlement: Extract<Settlement, { kind: "again" | "dead" }>,
  ): Promise<void> {
    const { parcels, delayed, clock } = this.#host;
    if (settlement.kind === "again") {
      const queues = parcels.delays([settlement.delay]);
      await session.lease(queues);
      delayed.use(queues, clock.now());
    }
    const parcel = parcels.settled(delivery, settlement, clock.wall());
    if (parcel.to.key === this.#dead) await session.keepDead();
    await session.publish([parcel]);
  }

  #finish({ session, message, key }: Reservation, settlement: Settlement): void {
    const isBack = settlement.kind === "back" || this.#isRefused(settlement);
    if (key !== undefined && !isBack) this.#ended.remember(key, settlement);
    if (settlement.kind === "ack") session.ack(message);
    else session.nack(message, isBack);
  }

  /** It goes round until a worker takes it. */
  #isRefused({ kind }: Settlement): boolean {
    return kind === "drop" && this.#host.config.queue.requeue_on_fail;
  }

  #leave({ id }: Delivery, { key }: Reservation, settlement: Settlement): void {
    if (settlement.kind === "back" || this.#isRefused(settlement)) return;
    if (key !== undefined) return this.#ended.remember(key, settlement);
    throw new Failure(
      `RabbitMQ was gone before it heard of the end of job "${id}", which another program had ` +
        "pushed: it comes again",
    );
  }
}
