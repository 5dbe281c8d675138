/**
 * What one pipeline has of a connection to RabbitMQ: a channel to take and end jobs, one to publish,
 * and its exchange and queues, which are there when it is.
 *
 * Invariants: whatever ends one of its channels ends it; every command has a deadline, and a broker
 * that lets one pass is left; published is what RabbitMQ confirmed and put into a queue; not more than
 * MAX_IN_FLIGHT bytes are published and not confirmed, but for one message alone.
 */

// @ts-types="@types/amqplib"
import type { Channel, ConfirmChannel, ConsumeMessage } from "amqplib";
import type { AmqpBroker, AmqpConfig } from "../../../lib/config/roadrunner/drivers/amqp.ts";
import { type Clock, within } from "../../../lib/core/clock.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { Connection } from "../link.ts";
import type { Message } from "./codec.ts";
import { type AmqpConnection, type Connections, GOODBYE, whomOf } from "./connection.ts";
import { type DelayQueue, leaseOf } from "./delays.ts";

/** Of one command, ms. */
const COMMAND_LIMIT = 10_000;
const MAX_IN_FLIGHT = 64 * 1024 * 1024;
/** How RabbitMQ says that a queue is not there. */
const NOT_FOUND = 404;
/** What the protocol can say. */
const MAX_PREFETCH = 65_535;

/** Where a session is opened. */
export interface SessionSpec {
  readonly connections: Connections;
  readonly broker: AmqpBroker;
  readonly config: AmqpConfig;
  readonly clock: Clock;
}

/** Where a message goes. */
export interface Address {
  /** Empty: to the queue of that name. */
  readonly exchange: string;
  readonly key: string;
}

/** A message on its way. */
export interface Parcel {
  readonly to: Address;
  readonly message: Message;
  readonly id: string;
}

/** The queue of a pipeline's dead letters. */
export function deadQueueOf({ queue }: AmqpConfig): string {
  return `${queue.name}.dead`;
}

/** See the file's comment. */
export class Session implements Connection {
  readonly lost: Promise<unknown>;
  /** It can still be used. */
  alive = true;
  /** The queue of dead letters is there. */
  keepsDead = false;
  /** Jobs come. */
  consuming: string | undefined;
  readonly #spec: SessionSpec;
  readonly #connection: AmqpConnection;
  readonly #lose: (reason: unknown) => void;
  /** Delay queues by name, and when they were used last. */
  readonly #leases = new Map<string, number>();
  /** Messages that no queue took. */
  readonly #returned = new Set<string>();
  #main!: Channel;
  #publisher!: ConfirmChannel;
  #inFlight = 0;
  #room: (() => void)[] = [];

  private constructor(spec: SessionSpec, connection: AmqpConnection) {
    this.#spec = spec;
    this.#connection = connection;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.lost = promise;
    this.#lose = (reason) => {
      this.alive = false;
      for (const go of this.#room.splice(0)) go();
      resolve(reason);
    };
    connection.lost.then(this.#lose);
  }

  /** @throws why it cannot be */
  static async open(spec: SessionSpec): Promise<Session> {
    const session = new Session(spec, await spec.connections.borrow(spec.broker));
    try {
      await session.#open();
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const { main, publisher } = this.#connection;
    this.#main = this.#watched(await this.command(main.createChannel()));
    const publishing = this.#watched(await this.command(publisher.createConfirmChannel()));
    publishing.on("return", ({ properties }) => this.#returned.add(properties.messageId));
    this.#publisher = publishing as ConfirmChannel;
    await this.command(this.#declare(this.#main));
    const { queue } = this.#spec.config;
    if (queue.name !== "" && !queue.declare) await this.#lookForDead();
  }

  /** Where nothing is to be made, it is made by the first dead letter. */
  async #lookForDead(): Promise<void> {
    await this.aside(async (channel) => {
      try {
        await this.command(channel.checkQueue(deadQueueOf(this.#spec.config)));
        this.keepsDead = true;
      } catch (error) {
        if ((error as { code?: number }).code !== NOT_FOUND) throw error;
      }
    });
  }

  /** @throws when RabbitMQ refuses the queue of dead letters */
  async keepDead(): Promise<void> {
    if (this.keepsDead) return;
    await this.aside((channel) =>
      this.command(channel.assertQueue(deadQueueOf(this.#spec.config), { durable: true }))
    );
    this.keepsDead = true;
  }

  async #declare(channel: Channel): Promise<void> {
    const { exchange, queue } = this.#spec.config;
    if (exchange.declare) {
      const { durable, auto_delete: autoDelete } = exchange;
      await channel.assertExchange(exchange.name, exchange.type, { durable, autoDelete });
    }
    if (queue.name === "" || !queue.declare) return;
    const { durable, exclusive, auto_delete: autoDelete, headers } = queue;
    const options = { durable, exclusive, autoDelete, arguments: headers };
    await channel.assertQueue(queue.name, options);
    await channel.bindQueue(queue.name, exchange.name, queue.routing_key);
    await channel.assertQueue(deadQueueOf(this.#spec.config), { durable: true });
    this.keepsDead = true;
  }

  #watched<C extends Channel>(channel: C): C {
    channel.on("error", this.#lose);
    channel.on("close", () => this.#lose(new Error("RabbitMQ closed the channel")));
    return channel;
  }

  /** Its result. @throws what went wrong; Failure when it took too long: then all is given up */
  async command<T>(work: Promise<T>): Promise<T> {
    const answer = await within(this.#spec.clock, COMMAND_LIMIT, work);
    if (answer.done) return answer.value;
    const failure = new Failure(
      `${whomOf(this.#spec.broker)} did not answer within ${COMMAND_LIMIT / 1000} s`,
      { fix: "see whether RabbitMQ runs and has memory and disk to work with" },
    );
    this.#connection.lose(failure);
    throw failure;
  }

  /** It is given up. */
  lose(reason: unknown): void {
    this.#lose(reason);
  }

  /** A channel for one piece of work: closing it hands back all that it took and did not end. */
  async aside<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = await this.command(this.#connection.main.createChannel());
    let refused: unknown;
    channel.on("error", (error) => refused = error);
    try {
      return await work(channel);
    } finally {
      if (refused === undefined && this.alive) await this.command(channel.close());
    }
  }

  /** Why nothing is taken from publishers now. */
  get blocked(): string | undefined {
    return this.#connection.blocked;
  }

  /** Jobs come from now on, `prefetch` ahead of their end. */
  async consume(prefetch: number, on: (message: ConsumeMessage) => void): Promise<void> {
    const { queue } = this.#spec.config;
    await this.command(this.#main.prefetch(Math.min(prefetch, MAX_PREFETCH)));
    const consumerTag = queue.consumer_id ?? `supervisor-${crypto.randomUUID()}`;
    const come = (message: ConsumeMessage | null) => {
      if (message !== null) on(message);
      else this.#lose(new Error(`RabbitMQ ended the consumer of queue "${queue.name}"`));
    };
    await this.command(this.#main.consume(queue.name, come, { consumerTag }));
    this.consuming = consumerTag;
  }

  /** None come any more. */
  async cancel(): Promise<void> {
    if (this.consuming === undefined) return;
    await this.command(this.#main.cancel(this.consuming));
    this.consuming = undefined;
  }

  ack(message: ConsumeMessage): void {
    this.#main.ack(message);
  }

  nack(message: ConsumeMessage, requeue: boolean): void {
    this.#main.nack(message, false, requeue);
  }

  /** Messages that wait in a queue; ordered with what was ended before. */
  async waiting(queue: string): Promise<number> {
    return (await this.command(this.#main.checkQueue(queue))).messageCount;
  }

  /** As waiting(); made when it is not there any more. */
  async delayed({ name, options }: DelayQueue): Promise<number> {
    const declared = this.#main.assertQueue(name, options(this.#connection.version));
    return (await this.command(declared)).messageCount;
  }

  async delete(queue: string): Promise<void> {
    await this.command(this.#main.deleteQueue(queue));
  }

  /**
   * Delay queues are there when it resolves, and stay. A quorum queue is not used by being declared
   * again, and is removed with all that is in it; it is by being asked for a message, which the end of
   * the channel puts back.
   *
   * @throws Failure when RabbitMQ refuses
   */
  async lease(queues: Iterable<DelayQueue>): Promise<void> {
    const now = this.#spec.clock.now();
    const due = [...queues].filter((queue) => {
      const at = this.#leases.get(queue.name);
      return at === undefined || now - at > leaseOf(queue);
    });
    if (due.length === 0) return;
    await this.aside(async (channel) => {
      for (const { name, options } of due) {
        await this.command(channel.assertQueue(name, options(this.#connection.version)));
        await this.command(channel.get(name));
      }
    });
    for (const { name } of due) this.#leases.set(name, now);
  }

  /** Resolves when RabbitMQ has confirmed all of them. @throws Failure when it did not */
  async publish(parcels: readonly Parcel[]): Promise<void> {
    for (let at = 0; at < parcels.length;) {
      while (this.alive && this.#inFlight >= MAX_IN_FLIGHT) {
        await new Promise<void>((go) => this.#room.push(go));
      }
      let end = at;
      let bytes = 0;
      do bytes += parcels[end++].message.content.length; while (
        end < parcels.length && this.#inFlight + bytes < MAX_IN_FLIGHT
      );
      await this.#send(parcels.slice(at, end), bytes);
      at = end;
    }
  }

  #send(parcels: readonly Parcel[], bytes: number): Promise<void> {
    if (!this.alive) return Promise.reject(this.#unconfirmed("the connection was lost"));
    this.#inFlight += bytes;
    return new Promise((resolve, reject) => {
      let left = parcels.length;
      let failure: Failure | undefined;
      const over = ({ id, to }: Parcel, error: Error | null) => {
        if (error !== null) failure ??= this.#unconfirmed(error.message);
        else if (this.#returned.delete(id)) {
          // A delay queue that somebody removed is made again by the next who needs it.
          this.#leases.delete(to.key);
          failure ??= this.#unroutable(to);
        }
        if (--left > 0) return;
        this.#inFlight -= bytes;
        for (const go of this.#room.splice(0)) go();
        if (failure === undefined) resolve();
        else reject(failure);
      };
      for (const parcel of parcels) {
        const { to: { exchange, key }, message: { content, headers }, id } = parcel;
        const options = {
          headers,
          messageId: id,
          contentType: "application/octet-stream",
          persistent: true,
          mandatory: true,
        };
        this.#publisher.publish(exchange, key, content, options, (error) => over(parcel, error));
      }
    });
  }

  #unconfirmed(why: string): Failure {
    return new Failure(
      `${whomOf(this.#spec.broker)} did not confirm a job, which may be stored or not: ${why}`,
      { fix: "push it again if it may be there twice" },
    );
  }

  #unroutable({ exchange, key }: Address): Failure {
    return new Failure(
      `${whomOf(this.#spec.broker)} has no queue for a job with routing key "${key}" at exchange ` +
        `"${exchange}"`,
      { fix: "bind a queue to it, or correct routing_key" },
    );
  }

  async close(): Promise<void> {
    this.#lose(new Error("it was closed"));
    const channels = [this.#main, this.#publisher].filter((one) => one !== undefined);
    // One that is closed already refuses, which is as good.
    const closed = Promise.allSettled(channels.map((channel) => channel.close()));
    await within(this.#spec.clock, GOODBYE, closed);
    await this.#spec.connections.giveBack(this.#connection);
  }
}
