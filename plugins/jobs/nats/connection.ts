/**
 * A connection to NATS on which every question has an answer or ends with the connection.
 *
 * The client library has the protocol; its JetStream part is not used, because it makes several
 * promises, a timer and a subscription for what is one message and its answer here.
 *
 * | state | entered by                                            | questions          |
 * | ----- | ----------------------------------------------------- | ------------------ |
 * | open  | dial()                                                | are answered       |
 * | lost  | the server, the network, a question without an answer | reject, all at once |
 *
 * Invariants: a question is answered within ANSWER_LIMIT, or the connection is lost; what waits for a
 * place of its own to send jobs is bounded by MAX_UNANSWERED and MAX_BYTES.
 */

import {
  type ConnectionOptions,
  createInbox,
  credsAuthenticator,
  type Msg,
  type MsgHdrs,
  type NatsConnection as Client,
} from "@nats-io/transport-node";
import type { NatsBroker } from "../../../lib/config/roadrunner/drivers/nats.ts";
import { abortable, type Clock, type Timer } from "../../../lib/core/clock.ts";
import { messageOf } from "../../../lib/core/failure.ts";
import type { Connection } from "../link.ts";
import { connect, type Pem, readPem } from "./wire.ts";

/** Longest time between a question and its answer; a frozen server is noticed by it. */
const ANSWER_LIMIT = 8000;
/** For one attempt to connect. */
const CONNECT_LIMIT = 4000;
/** Between two questions whether the server is there, when nothing else is asked. */
const PING_EVERY = 4000;
/** Jobs on their way at a time, and their bytes; at least one whatever its size. */
const MAX_UNANSWERED = 4096;
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Servers that store in files take a larger message (where max_payload says so), confirm it, and
 * cannot read it any more: their limit of a record is 32 MiB, headers and subject included.
 */
const MAX_RECORD = 32 * 1024 * 1024 - 64 * 1024;

/** The connection ended before the answer came. */
export class Lost extends Error {}

/** One message, and where to. */
export interface Question {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: MsgHdrs;
}

interface Waiting {
  readonly at: number;
  readonly size: number;
  give(answer: Msg): void;
  refuse(error: Error): void;
}

/** Who is dialled, without secrets. */
export function whom({ addr }: NatsBroker): string {
  return `nats at ${addr.split(",").map((one) => new URL(one.trim()).host).join(", ")}`;
}

/** See the file's comment. */
export class NatsConnection implements Connection {
  readonly lost: Promise<unknown>;
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #inbox = createInbox();
  readonly #waiting = new Map<string, Waiting>();
  #next = 0;
  #bytes = 0;
  #late: Timer | undefined;
  /** Somebody waits until less is on its way. */
  #room: PromiseWithResolvers<void> | undefined;
  #ended: Error | undefined;

  private constructor(client: Client, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
    const prefix = this.#inbox.length + 1;
    client.subscribe(`${this.#inbox}.*`, {
      callback: (_, answer) => this.#answered(answer.subject.slice(prefix), answer),
    });
    this.lost = client.closed().then((error) => {
      this.#end(new Lost(messageOf(error ?? new Error("the server closed the connection"))));
      return this.#ended;
    });
  }

  /** Closed again when nobody wants it any more. @throws Error, Failure, the signal's reason */
  static async dial(broker: NatsBroker, clock: Clock, signal: AbortSignal) {
    const connection = new NatsConnection(await connect(await optionsOf(broker)), clock);
    if (!signal.aborted) return connection;
    await connection.close();
    throw signal.reason;
  }

  /** Bytes of one message, as the server says. */
  get maxPayload(): number {
    return this.#client.info?.max_payload ?? 0;
  }

  /** Bytes of one job's message. */
  get maxJob(): number {
    return Math.min(this.maxPayload, MAX_RECORD);
  }

  get alive(): boolean {
    return this.#ended === undefined;
  }

  /** @throws Lost */
  ask({ subject, data, headers }: Question): Promise<Msg> {
    return new Promise((give, refuse) => this.#ask(subject, data, headers, { give, refuse }));
  }

  /** All of them, without waiting in between. @throws Lost */
  askAll(questions: readonly Question[]): Promise<Msg[]> {
    return new Promise((resolve, refuse) => {
      const answers: Msg[] = [];
      let left = questions.length;
      if (left === 0) resolve(answers);
      for (const [index, { subject, data, headers }] of questions.entries()) {
        const give = (answer: Msg) => {
          answers[index] = answer;
          if (--left === 0) resolve(answers);
        };
        this.#ask(subject, data, headers, { give, refuse });
      }
    });
  }

  /** Waits until there is room for more jobs. @throws Lost, the signal's reason */
  async room(signal?: AbortSignal): Promise<void> {
    while (this.#waiting.size >= MAX_UNANSWERED || this.#bytes >= MAX_BYTES) {
      this.#room ??= Promise.withResolvers();
      await abortable(this.#room.promise, signal);
    }
    if (this.#ended !== undefined) throw this.#ended;
  }

  /** Without an answer. @throws Lost */
  tell(subject: string, text: string | Uint8Array, reply?: string): void {
    if (this.#ended !== undefined) throw this.#ended;
    this.#do((client) =>
      client.publish(subject, text, reply === undefined ? undefined : { reply })
    );
  }

  /** Messages to an inbox. @throws Lost */
  subscribe(inbox: string, take: (message: Msg) => void): { end(): void } {
    if (this.#ended !== undefined) throw this.#ended;
    const subscription = this.#do((client) =>
      client.subscribe(inbox, { callback: (_, message) => take(message) })
    );
    // What the server had sent before it heard of the end still comes.
    return { end: () => void (this.alive && subscription.drain().catch(() => {})) };
  }

  /** Everything that was told has been read by the server. @throws Error when it is lost */
  flush(): Promise<void> {
    return this.#client.flush();
  }

  /** It is not what it should be. */
  break(error: Error): void {
    this.#end(new Lost(messageOf(error), { cause: error }));
    this.#client.close().catch(() => {});
  }

  async close(): Promise<void> {
    this.#end(new Lost("the connection is closed"));
    await this.#client.close().catch(() => {}); // lost or not, it is gone
  }

  /** @throws Lost, or what is wrong with what was asked */
  #do<T>(what: (client: Client) => T): T {
    try {
      return what(this.#client);
    } catch (error) {
      // It closes a moment before we hear of it.
      throw this.#client.isClosed() ? new Lost(messageOf(error), { cause: error }) : error;
    }
  }

  #ask(
    subject: string,
    data: Uint8Array,
    headers: MsgHdrs | undefined,
    { give, refuse }: Pick<Waiting, "give" | "refuse">,
  ): void {
    if (this.#ended !== undefined) return refuse(this.#ended);
    const token = (this.#next++).toString(36);
    const reply = `${this.#inbox}.${token}`;
    try {
      this.#do((client) => client.publish(subject, data, { reply, headers }));
    } catch (error) {
      return refuse(error as Error);
    }
    this.#bytes += data.length;
    this.#waiting.set(token, { at: this.#clock.now(), size: data.length, give, refuse });
    if (this.#late === undefined) this.#watch(ANSWER_LIMIT);
  }

  #answered(token: string, answer: Msg): void {
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return;
    this.#waiting.delete(token);
    this.#bytes -= waiting.size;
    waiting.give(answer);
    if (this.#room === undefined) return;
    if (this.#waiting.size >= MAX_UNANSWERED / 2 || this.#bytes >= MAX_BYTES / 2) return;
    this.#room.resolve();
    this.#room = undefined;
  }

  /** For the first of those that wait; they came in the order of their times. */
  #watch(ms: number): void {
    this.#late = this.#clock.timer(ms, () => {
      this.#late = undefined;
      const [first] = this.#waiting.values();
      if (first === undefined) return;
      const left = first.at + ANSWER_LIMIT - this.#clock.now();
      if (left > 0) return this.#watch(left);
      this.break(new Error(`no answer within ${ANSWER_LIMIT / 1000} s`));
    });
  }

  #end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#late?.cancel();
    this.#room?.resolve();
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { refuse } of all) refuse(error);
  }
}

/** @throws Failure */
async function optionsOf(broker: NatsBroker): Promise<ConnectionOptions> {
  const { addr, user, password, token, creds, tls } = broker;
  const urls = addr.split(",").map((one) => new URL(one.trim()));
  const [first] = urls;
  const options: ConnectionOptions = {
    servers: urls.map(({ host }) => host),
    user: user ?? (decodeURIComponent(first.username) || undefined),
    pass: password ?? (decodeURIComponent(first.password) || undefined),
    name: "supervisor",
    timeout: CONNECT_LIMIT,
    // The link dials; a client that did too would hide losses.
    reconnect: false,
    pingInterval: PING_EVERY,
    maxPingOut: 2,
  };
  // `nats://token@host`, as NATS has it.
  if (options.user !== undefined && options.pass === undefined) {
    options.token = options.user;
    options.user = undefined;
  }
  if (token !== undefined) options.token = token;
  if (creds !== undefined) {
    const text = await readPem("nats.creds", creds);
    options.authenticator = credsAuthenticator(new TextEncoder().encode(text));
  }
  if (tls !== undefined || urls.some(({ protocol }) => protocol === "tls:")) {
    const pem: Pem = { ca: await readPem("nats.tls.root_ca", tls?.root_ca) };
    options.tls = pem as ConnectionOptions["tls"];
  }
  return options;
}
