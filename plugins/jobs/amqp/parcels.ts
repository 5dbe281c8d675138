/**
 * Which message goes where.
 *
 * | message                | goes to                                                             |
 * | ---------------------- | ------------------------------------------------------------------- |
 * | pushed                 | the exchange, by the routing key or by the job's own header for one |
 * | pushed with a delay    | the pipeline's queue, through the one for that delay                |
 * | again, retried         | the pipeline's queue, or through the one for its delay              |
 * | dead                   | the queue of dead letters                                           |
 *
 * Invariant: each message has an id that no other has.
 */

import type { AmqpConfig } from "../../../lib/config/roadrunner/drivers/amqp.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { Delivery, Job, Settlement } from "../driver.ts";
import { encode, type Fate, ROUTING_KEY } from "./codec.ts";
import { type DelayQueue, delayQueue } from "./delays.ts";
import { type Address, deadQueueOf, type Parcel } from "./session.ts";

/** What the protocol can say of a routing key, bytes. */
const MAX_KEY = 255;

/** See the file's comment. */
export class Parcels {
  readonly #pipeline: string;
  readonly #config: AmqpConfig;
  readonly #life = crypto.randomUUID();
  #made = 0;

  constructor(pipeline: string, config: AmqpConfig) {
    this.#pipeline = pipeline;
    this.#config = config;
  }

  /** @throws Failure when it cannot be said to RabbitMQ */
  pushed(job: Job): Parcel {
    const { exchange, queue } = this.#config;
    const { [ROUTING_KEY]: keys, ...headers } = job.headers;
    const own = keys?.length === 1 ? keys[0] : "";
    const key = own || queue.routing_key;
    if (new TextEncoder().encode(key).length > MAX_KEY) {
      const text = `the header ${ROUTING_KEY} of job "${job.id}" is longer than ${MAX_KEY} bytes`;
      throw new Failure(text, { fix: "use a shorter routing key" });
    }
    if (job.delay === 0) return this.#parcel({ ...job, headers }, { exchange: exchange.name, key });
    if (own === "" && queue.name !== "") {
      return this.#parcel({ ...job, headers }, this.#own(job.delay));
    }
    throw new Failure(
      `job "${job.id}" has a delay and goes to no queue of pipeline "${this.#pipeline}"`,
      { fix: "push it without a delay, or to a pipeline of that queue" },
    );
  }

  /** Queues for those delays, each once. */
  delays(delays: readonly number[]): DelayQueue[] {
    const queues = delays.filter((delay) => delay > 0)
      .map((delay) => delayQueue(this.#config.queue.name, delay));
    return [...new Map(queues.map((queue) => [queue.name, queue])).values()];
  }

  /** A new life for a dead letter. */
  again({ id, name, payload, headers, priority, auto_ack, unique }: Job): Parcel {
    const job = { id, name, payload, headers, priority, delay: 0, auto_ack, unique };
    return this.#parcel(job, this.#own(0));
  }

  /** What becomes of a delivery; one whose headers RabbitMQ cannot hold becomes a dead letter. */
  settled(
    delivery: Delivery,
    settlement: Extract<Settlement, { kind: "again" | "dead" }>,
    wall: number,
  ): Parcel {
    const { error } = settlement;
    if (settlement.kind === "dead") return this.#dead(delivery, error!, wall);
    const { headers, attempt, delay } = settlement;
    try {
      return this.#parcel({ ...delivery, headers }, this.#own(delay), { attempt, error });
    } catch (refused) {
      return this.#dead(delivery, `${error ?? "again"}; and ${messageOf(refused)}`, wall);
    }
  }

  #dead(delivery: Delivery, error: string, died_at: number): Parcel {
    const to = { exchange: "", key: deadQueueOf(this.#config) };
    const fate = { attempt: delivery.attempt, error, died_at };
    try {
      return this.#parcel(delivery, to, fate);
    } catch (refused) {
      // A stranger's frames may be larger than ours.
      const why = `${error}; without its headers: ${messageOf(refused)}`;
      return this.#parcel({ ...delivery, headers: {} }, to, { ...fate, error: why });
    }
  }

  #own(delay: number): Address {
    const { name } = this.#config.queue;
    return { exchange: "", key: delay > 0 ? delayQueue(name, delay).name : name };
  }

  #parcel(job: Job, to: Address, fate?: Fate): Parcel {
    const message = encode(job, this.#pipeline, fate);
    return { to, message, id: `${this.#life}-${++this.#made}` };
  }
}
