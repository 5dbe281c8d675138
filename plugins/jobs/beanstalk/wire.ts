/**
 * One connection to beanstalkd. A client of our own: the protocol is a page long, bodies are binary,
 * and what makes it fast (many commands on their way at once) is what libraries do not do.
 *
 * | state | entered by                                        | commands                             |
 * | ----- | ------------------------------------------------- | ------------------------------------ |
 * | open  | dial()                                            | are sent at once, answered in order  |
 * | lost  | an error, its end, a silence too long, close()    | rejected with Lost                   |
 *
 * Invariants: what was asked in one turn is written in one go; every command is answered or Lost; while
 * an answer is owed, the server is never silent for longer than ANSWER_LIMIT (and as long as it was
 * told to wait); whoever waits in room() keeps what is on its way below MAX_UNSENT and MAX_OWED.
 */

import type { BeanstalkBroker } from "../../../lib/config/roadrunner/drivers/beanstalk.ts";
import { abortable, type Clock, type Timer, within } from "../../../lib/core/clock.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import { DIAL_LIMIT } from "../link.ts";
import { Replies, type Reply } from "./replies.ts";

/** How long beanstalkd may be silent when an answer is owed, ms. */
export const ANSWER_LIMIT = 8000;
/** Bytes that are not written yet, and commands without an answer. */
const MAX_UNSENT = 16 * 1024 * 1024;
const MAX_OWED = 10_000;
/** Pieces below it are written together. */
const CHUNK = 64 * 1024;

/** No answer, and there will be none: what was asked may have been done. */
export class Lost extends Failure {}

/** A line without its end; behind it the body, in pieces. */
export interface Command {
  readonly line: string;
  readonly body?: readonly Uint8Array[];
}

/** Commands that were asked together. */
interface Owed {
  readonly count: number;
  readonly replies: Reply[];
  readonly answered: PromiseWithResolvers<Reply[]>;
}

const encoder = new TextEncoder();
const END = encoder.encode("\r\n");

/** See the file's comment. */
export class Wire {
  readonly #conn: Deno.Conn;
  readonly #whom: string;
  readonly #clock: Clock;
  readonly #lost = Promise.withResolvers<Lost>();
  readonly #ended = Promise.withResolvers<void>();
  #why: Lost | undefined;
  #owed: Owed[] = [];
  /** Commands without an answer. */
  #count = 0;
  #out: Uint8Array[] = [];
  #unsent = 0;
  #writing = false;
  #room: (() => void)[] = [];
  /** Clock milliseconds of the last sign of life, since when an answer is owed. */
  #heard = 0;
  /** As long as the server was told to wait, ms. */
  #blocking = 0;
  #watch: Timer | undefined;

  private constructor(conn: Deno.Conn, whom: string, clock: Clock) {
    this.#conn = conn;
    this.#whom = whom;
    this.#clock = clock;
    this.#read().then(this.#ended.resolve);
  }

  /** @throws why there is none; the signal's reason */
  static async dial(broker: BeanstalkBroker, clock: Clock, signal?: AbortSignal): Promise<Wire> {
    const connecting = connect(broker);
    try {
      const dialled = await within(clock, DIAL_LIMIT, abortable(connecting, signal));
      if (dialled.done) return new Wire(dialled.value, whomOf(broker), clock);
      throw new Failure(`${whomOf(broker)} did not answer within ${DIAL_LIMIT / 1000} s`);
    } catch (error) {
      // One that comes too late is closed; that none came is told already.
      connecting.then((conn) => conn.close(), () => {});
      throw error;
    }
  }

  /** Resolves with the reason when it cannot be used any more. */
  get lost(): Promise<Lost> {
    return this.#lost.promise;
  }

  get alive(): boolean {
    return this.#why === undefined;
  }

  /** The answers to all, in their order. @throws Lost */
  ask(commands: readonly Command[]): Promise<Reply[]> {
    if (this.#why !== undefined) return Promise.reject(this.#why);
    if (commands.length === 0) return Promise.resolve([]);
    const owed: Owed = {
      count: commands.length,
      replies: [],
      answered: Promise.withResolvers(),
    };
    this.#owed.push(owed);
    if (this.#count === 0) this.#expect();
    this.#count += owed.count;
    for (const { line, body } of commands) {
      this.#add(encoder.encode(`${line}\r\n`));
      if (body === undefined) continue;
      for (const piece of body) this.#add(piece);
      this.#add(END);
    }
    if (!this.#writing) {
      this.#writing = true;
      // What else is asked in this turn goes along.
      queueMicrotask(() => this.#write());
    }
    return owed.answered.promise;
  }

  /** One command. `blocking`: how long the server was told to wait, ms. @throws Lost */
  async one(line: string, blocking = 0): Promise<Reply> {
    this.#blocking = blocking;
    const [reply] = await this.ask([{ line }]);
    return reply;
  }

  /** Resolves when more may be asked. @throws Lost */
  async room(): Promise<void> {
    while (this.#unsent > MAX_UNSENT || this.#count > MAX_OWED) {
      if (this.#why !== undefined) throw this.#why;
      await new Promise<void>((go) => this.#room.push(go));
    }
  }

  /** It is given up. */
  lose(error: unknown): void {
    if (this.#why !== undefined) return;
    const text = error instanceof Failure ? error.message : `${this.#whom}: ${messageOf(error)}`;
    const why = this.#why = new Lost(text, { cause: error });
    this.#watch?.cancel();
    this.#watch = undefined;
    for (const { answered } of this.#owed.splice(0)) answered.reject(why);
    this.#out = [];
    this.#makeRoom();
    this.#lost.resolve(why);
    this.#conn.close();
  }

  /** Resolves when nothing of it is left. */
  async close(): Promise<void> {
    this.lose(new Failure(`the connection to ${this.#whom} is closed`));
    await this.#ended.promise;
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#out.push(bytes);
    this.#unsent += bytes.length;
  }

  async #write(): Promise<void> {
    try {
      while (this.#out.length > 0) {
        for (const chunk of joined(this.#out.splice(0))) {
          for (let at = 0; at < chunk.length;) {
            at += await this.#conn.write(chunk.subarray(at));
            this.#heard = this.#clock.now();
          }
          this.#unsent -= chunk.length;
          this.#makeRoom();
        }
      }
    } catch (error) {
      this.lose(error);
    } finally {
      this.#writing = false;
    }
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(CHUNK);
    const replies = new Replies((reply) => this.#came(reply));
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) throw new Failure(`${this.#whom} hung up`);
        this.#heard = this.#clock.now();
        replies.feed(buffer.subarray(0, count));
        this.#makeRoom();
      }
    } catch (error) {
      this.lose(error);
    }
  }

  #came(reply: Reply): void {
    const [first] = this.#owed;
    if (first === undefined) throw new Error(`it said ${reply.word} without being asked`);
    first.replies.push(reply);
    if (--this.#count === 0) this.#rest();
    if (first.replies.length < first.count) return;
    this.#owed.shift();
    first.answered.resolve(first.replies);
  }

  #makeRoom(): void {
    for (const go of this.#room.splice(0)) go();
  }

  /** An answer is owed from now on. */
  #expect(): void {
    this.#heard = this.#clock.now();
    this.#watch ??= this.#clock.timer(ANSWER_LIMIT, () => this.#look());
  }

  #rest(): void {
    this.#watch?.cancel();
    this.#watch = undefined;
  }

  #look(): void {
    const limit = ANSWER_LIMIT + this.#blocking;
    const left = this.#heard + limit - this.#clock.now();
    this.#watch = undefined;
    if (left > 0) this.#watch = this.#clock.timer(left, () => this.#look());
    else this.lose(new Failure(`${this.#whom} did not answer within ${limit / 1000} s`));
  }
}

async function connect({ addr }: BeanstalkBroker): Promise<Deno.Conn> {
  if ("path" in addr) return await Deno.connect({ transport: "unix", path: addr.path });
  const conn = await Deno.connect({ hostname: addr.host, port: addr.port });
  conn.setNoDelay(true);
  conn.setKeepAlive(true);
  return conn;
}

/** As messages name it. */
export function whomOf({ addr }: BeanstalkBroker): string {
  return `beanstalkd at ${"path" in addr ? addr.path : `${addr.host}:${addr.port}`}`;
}

/** Small neighbours in one piece. */
function* joined(pieces: readonly Uint8Array[]): Iterable<Uint8Array> {
  for (let at = 0; at < pieces.length;) {
    let [end, size] = [at, 0];
    while (end < pieces.length && size + pieces[end].length <= CHUNK) size += pieces[end++].length;
    if (end - at <= 1) {
      yield pieces[at++];
      continue;
    }
    const whole = new Uint8Array(size);
    let filled = 0;
    for (; at < end; at++) {
      whole.set(pieces[at], filled);
      filled += pieces[at].length;
    }
    yield whole;
  }
}
