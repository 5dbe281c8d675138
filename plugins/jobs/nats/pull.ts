/**
 * Messages of a consumer, as many as somebody wants, when they want them.
 *
 * | state   | entered by                                        | a message then                     |
 * | ------- | ------------------------------------------------- | ---------------------------------- |
 * | idle    | –, the end of a pull                              | is handed back                     |
 * | pulling | pull()                                            | is somebody's                      |
 * | ended   | end(), the connection is lost, there is no answer | is handed back, or is the server's |
 *
 * Invariants: nobody asks, nothing is reserved: a pull ends when it has as many as it asked for, or
 * when the server says that there are no more for now; what comes after its abort goes back at once.
 */

import { createInbox, type Msg } from "@nats-io/transport-node";
import type { Clock, Timer } from "../../../lib/core/clock.ts";
import { NANO } from "./api.ts";
import type { NatsConnection } from "./connection.ts";

/** How long the server keeps a pull that finds nothing. */
const EXPIRES = 30_000;
/** How long after that it is waited for. */
const GRACE = 5000;
/** A server that does not say that there are no more has said enough after this. */
const NO_MORE = 100;
/** From one pull that brought nothing to the next. */
const REST = 1000;
/** Bytes of one pull, but always one message: servers cut off whom they cannot write to. */
const MAX_BYTES = 16 * 1024 * 1024;
/** What a message has besides what its server counts. */
const FRAME = 64 * 1024;

export const BACK = "-NAK";

/** One who waits for messages. */
interface Pulling {
  readonly most: number;
  /** Clock milliseconds. */
  readonly since: number;
  readonly got: Msg[];
  resolve(messages: Msg[]): void;
  reject(error: unknown): void;
  timer: Timer;
}

/** See the file's comment. */
export class Pull {
  readonly #connection: NatsConnection;
  readonly #clock: Clock;
  readonly #subject: string;
  /** What is wrong with the consumer; told once. */
  readonly #onBroken: (error: Error) => void;
  #inbox = "";
  #reading: { end(): void } | undefined;
  #pulling: Pulling | undefined;

  constructor(
    connection: NatsConnection,
    clock: Clock,
    { stream, consumer }: { stream: string; consumer: string },
    onBroken: (error: Error) => void,
  ) {
    this.#connection = connection;
    this.#clock = clock;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#onBroken = onBroken;
  }

  /**
   * Waits for the first; one pull at a time. @returns none: there was nothing for EXPIRES
   * @throws the signal's reason, Lost
   */
  pull(most: number, signal: AbortSignal): Promise<Msg[]> {
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const abort = () => {
        const pulling = this.#finish();
        if (pulling === undefined) return;
        this.#leave();
        for (const message of pulling.got) this.#back(message);
        pulling.reject(signal.reason);
      };
      const over = () => signal.removeEventListener("abort", abort);
      this.#pulling = {
        most,
        since: this.#clock.now(),
        got: [],
        resolve: (messages) => {
          over();
          resolve(messages);
        },
        reject: (error) => {
          over();
          reject(error);
        },
        timer: this.#clock.timer(EXPIRES + GRACE, () => this.#mute()),
      };
      signal.addEventListener("abort", abort, { once: true });
      try {
        this.#ask(most);
      } catch (error) {
        this.#finish()?.reject(error);
      }
    });
  }

  /** Nothing is wanted any more. */
  end(error: Error): void {
    const pulling = this.#finish();
    this.#leave();
    for (const message of pulling?.got ?? []) this.#back(message);
    pulling?.reject(error);
  }

  #ask(most: number): void {
    const { maxPayload } = this.#connection;
    if (this.#reading === undefined) {
      this.#inbox = createInbox();
      this.#reading = this.#connection.subscribe(this.#inbox, (message) => this.#take(message));
    }
    // Waits for the first, and ends when there are no more.
    const asked = {
      batch: most,
      no_wait: true,
      expires: EXPIRES * NANO,
      max_bytes: Math.max(MAX_BYTES, maxPayload + FRAME),
    };
    this.#connection.tell(this.#subject, JSON.stringify(asked), this.#inbox);
  }

  #take(message: Msg): void {
    const code = message.headers?.code ?? 0;
    const pulling = this.#pulling;
    if (code > 0) return this.#heard(code, message.headers!.description);
    if (pulling === undefined) return this.#back(message);
    pulling.got.push(message);
    if (pulling.got.length === pulling.most) return this.#done();
    if (pulling.got.length > 1) return;
    pulling.timer.cancel();
    pulling.timer = this.#clock.timer(NO_MORE, () => {
      this.#leave();
      this.#done();
    });
  }

  /** The server's word on a pull. */
  #heard(code: number, text: string): void {
    if (code < 200 || this.#pulling === undefined) return;
    // 404 and 408: no more for now; 409: a limit of the pull, or the consumer's end.
    const ended = code === 503 || (code === 409 && /deleted|shutdown|leadership/i.test(text));
    const { got, since } = this.#pulling;
    if (!ended) {
      const early = since + REST - this.#clock.now();
      if (got.length > 0 || early <= 0) return this.#done();
      // A server that gives us nothing, and does not wait either, is not asked again at once.
      this.#pulling.timer.cancel();
      this.#pulling.timer = this.#clock.timer(early, () => this.#done());
      return;
    }
    if (got.length > 0) this.#done();
    this.#onBroken(new Error(code === 503 ? "its consumer is gone" : text.toLowerCase()));
  }

  /** The server does not even say that there is nothing. */
  #mute(): void {
    this.#onBroken(new Error("its consumer does not answer"));
  }

  #done(): void {
    const pulling = this.#finish();
    pulling?.resolve(pulling.got);
  }

  #finish(): Pulling | undefined {
    const pulling = this.#pulling;
    this.#pulling = undefined;
    pulling?.timer.cancel();
    return pulling;
  }

  /** The server forgets the pull, because nobody listens. */
  #leave(): void {
    this.#reading?.end();
    this.#reading = undefined;
  }

  #back(message: Msg): void {
    if (message.reply && this.#connection.alive) this.#connection.tell(message.reply, BACK);
  }
}
