/**
 * A connection on which a pipeline has all that it needs at the server: its stream, the streams
 * of delayed and dead jobs, its consumers.
 *
 * Invariants: what is there already is used as it is; only a subject that is missing is added, and
 * `ack_wait` is set; its consumers wait for no message that was gone when it began; a session whose consumer is gone is lost, and the
 * next one makes it again.
 */

import type { NatsConfig } from "../../../lib/config/roadrunner/drivers/nats.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { Connection } from "../link.ts";
import { consumerInfo, makeConsumer, makeStream, NANO, streamInfo, updateStream } from "./api.ts";
import { Lost, type NatsConnection } from "./connection.ts";
import { remind } from "./forgotten.ts";
import { Keys } from "./keys.ts";
import type { Places } from "./names.ts";
import { Pull } from "./pull.ts";

/** How long servers remember ids of messages, where nobody asks for more. */
const DUPLICATES = 120_000;
/** Pulls that wait at a consumer: those of all daemons. */
const MAX_PULLS = 10_000;
/**
 * For delayed jobs, which are looked at and not held: after a server's end, which may have forgotten
 * when to show them, they come this much late at most.
 */
const DELAYED_WAIT = 5000;

/** See the file's comment. */
export class Session implements Connection {
  readonly lost: Promise<unknown>;
  /** Whatever is reserved now. */
  readonly waiting: Pull;
  readonly delayed: Pull;
  readonly #lose: (error: Error) => void;

  private constructor(
    readonly connection: NatsConnection,
    readonly places: Places,
    /** Which stream of that name it is. */
    readonly created: string,
    /** The server forgets what is acknowledged. */
    readonly forgets: boolean,
    readonly keys: Keys,
    /** How many messages that are no more its consumers waited for. */
    readonly reminded: number,
    clock: Clock,
  ) {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.lost = promise;
    this.#lose = resolve;
    connection.lost.then(resolve);
    const pullOf = (stream: string) =>
      new Pull(connection, clock, { stream, consumer: places.consumer }, (why) => this.break(why));
    this.waiting = pullOf(places.stream);
    this.delayed = pullOf(places.delayed);
    promise.then((error) => this.#end(error as Error));
  }

  /** @throws Failure, Lost */
  static async open(
    connection: NatsConnection,
    places: Places,
    config: NatsConfig,
    clock: Clock,
  ): Promise<Session> {
    const main = await ensureMain(connection, places, config);
    const isQueue = main.config.retention === "workqueue";
    for (const name of [places.delayed, places.dead]) {
      const retention = name === places.delayed ? "workqueue" : "limits";
      const subjects = [name === places.delayed ? name : `${name}.*`];
      if (await streamInfo(connection, name) === undefined) {
        await makeStream(connection, { ...NEW, name, subjects, retention });
      }
    }
    const policy = config.deliver_new && !isQueue ? "new" : "all";
    await ensureConsumer(connection, places.stream, places, config.ack_wait, policy);
    const { delayed } = places;
    await ensureConsumer(connection, delayed, { ...places, subject: delayed }, DELAYED_WAIT, "all");
    const reminded = await remind(connection, places.stream, places.consumer) +
      await remind(connection, delayed, places.consumer);
    const keys = new Keys(connection, places, main.config.duplicate_window);
    return new Session(connection, places, main.created, isQueue, keys, reminded, clock);
  }

  /** It is of no use any more; the connection may be. */
  break(error: Error): void {
    this.#lose(error);
  }

  close(): Promise<void> {
    this.#lose(new Lost("closed"));
    return Promise.resolve();
  }

  #end(error: Error): void {
    const lost = error instanceof Lost ? error : new Lost(error.message);
    this.waiting.end(lost);
    this.delayed.end(lost);
  }
}

/** A new stream; `new`: one that is full refuses, and forgets nothing. */
const NEW = { storage: "file", discard: "new", duplicate_window: DUPLICATES * NANO } as const;

async function ensureMain(
  connection: NatsConnection,
  { stream, subject }: Places,
  { delete_after_ack }: NatsConfig,
) {
  const info = await streamInfo(connection, stream) ?? await makeStream(connection, {
    ...NEW,
    name: stream,
    subjects: [subject],
    retention: delete_after_ack === false ? "limits" : "workqueue",
  });
  if (info === undefined) {
    throw new Failure(`the stream ${JSON.stringify(stream)} of NATS went while it was made`);
  }
  const { config } = info;
  if (!takes(config.subjects, subject)) {
    await updateStream(connection, { ...config, subjects: [...config.subjects ?? [], subject] });
  }
  return info;
}

async function ensureConsumer(
  connection: NatsConnection,
  stream: string,
  { consumer, subject }: Pick<Places, "consumer" | "subject">,
  ack_wait: number,
  deliver_policy: string,
) {
  const there = await consumerInfo(connection, stream, consumer);
  if (there !== undefined && there.config.ack_wait === ack_wait * NANO) return;
  await makeConsumer(connection, stream, {
    durable_name: consumer,
    ack_policy: "explicit",
    ack_wait: ack_wait * NANO,
    // It cannot be changed afterwards.
    deliver_policy: there?.config.deliver_policy ?? deliver_policy,
    filter_subject: subject,
    // Each daemon asks for as many as its prefetch says.
    max_ack_pending: -1,
    max_deliver: -1,
    max_waiting: MAX_PULLS,
    replay_policy: "instant",
  });
}

/** Whether one of these subjects, which may have wildcards, is that one. */
export function takes(subjects: readonly string[] = [], subject: string): boolean {
  const words = subject.split(".");
  return subjects.some((one) => {
    const pattern = one.split(".");
    const open = pattern.at(-1) === ">";
    if (open ? words.length < pattern.length : words.length !== pattern.length) return false;
    return pattern.every((word, at) => word === ">" || word === "*" || word === words[at]);
  });
}
