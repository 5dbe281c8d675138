/**
 * A file of jobs, seen from the daemon: orders go to the file's thread, answers come back.
 *
 * | state      | entered by                            | orders                                     |
 * | ---------- | ------------------------------------- | ------------------------------------------ |
 * | ready      | open(); something could be written    | go out together while none are out         |
 * | connecting | something could not be written; the   | the same; what must be done (`last`) is    |
 * |            | path names another file, or none      | tried again, by the backoff, until it is   |
 * | closed     | close(), or the thread broke          | are refused                                |
 *
 * All that came while the last transaction ran is the next one: the more come, the more share one
 * wait for the disk.
 *
 * Times in the file are milliseconds since 1970 by the *time of the file*: the wall clock when it was
 * opened, or the last time written into it if that is later, and from there on the monotonic clock. A
 * wall clock that jumps back neither strands a delayed job nor lets a key live on.
 *
 * Invariants: one batch is out at a time; every order is answered, or its asker hears of the end.
 */

import { freshHistory, nextWait, type WaitPolicy } from "../../../lib/core/backoff.ts";
import { type Clock, stamp, type Timer, within } from "../../../lib/core/clock.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { DriverState } from "../driver.ts";
import type { Claim } from "./claim.ts";
import {
  type Answer,
  type GivenJob,
  type Opened,
  type Order,
  type Refused,
  type Reply,
  transfers,
} from "./messages.ts";
import { Outbox, type Sent } from "./outbox.ts";
import { fixOf } from "./refusals.ts";
import { Thread } from "./thread.ts";

/** Between two attempts to write. */
const AGAIN: WaitPolicy = { delay: 250, backoff_factor: 2, max_delay: 5000 };
/** How long the end of the thread is waited for; killed then, it loses nothing that was answered. */
const CLOSE_LIMIT = 10_000;

const GONE = "it was removed or replaced while it was open";

/** An order without its number. */
type Unnumbered<O> = O extends { n: number } ? Omit<O, "n"> : never;
/** What has an answer. */
export type Question = Unnumbered<Order>;

/** Somebody who waits for an answer. */
interface Asked extends Sent {
  /** To be done at some time, whatever it takes. */
  last: boolean;
  // deno-lint-ignore no-explicit-any -- what the order says
  resolve(value: any): void;
  reject(error: unknown): void;
}

/** See the file's comment. */
export class JobsFile {
  readonly path: string;
  state: DriverState = { state: "ready" };
  readonly #claim: Claim;
  readonly #clock: Clock;
  readonly #thread: Thread;
  /** Time of the file when the clock says 0. */
  readonly #offset: number;
  readonly #watchers = new Set<() => void>();
  readonly #asked = new Map<number, Asked>();
  readonly #outbox = new Outbox();
  #n = 0;
  #isOut = false;
  #isDue = false;
  /** Those to be done again. */
  readonly #parked: Asked[] = [];
  #tries = freshHistory();
  #retry: Timer | undefined;
  #wake: Timer | undefined;
  #closed: Failure | undefined;

  private constructor(claim: Claim, clock: Clock, thread: Thread, seen: number) {
    this.path = claim.file;
    this.#claim = claim;
    this.#clock = clock;
    this.#thread = thread;
    this.#offset = Math.max(Math.floor(clock.wall()), seen) - Math.floor(clock.now());
    thread.onReply = (reply) => this.#heard(reply as Reply);
    thread.onEnd = (reason) => this.#broke(reason);
  }

  /** Starts the thread of a file. @throws Failure naming the file */
  static async open(claim: Claim, clock: Clock): Promise<JobsFile> {
    const thread = new Thread();
    const answer = await thread.first<Opened | Refused>({ file: claim.file });
    if ("opened" in answer) return new JobsFile(claim, clock, thread, answer.seen);
    thread.kill();
    throw new Failure(answer.refused, { fix: answer.fix });
  }

  /** `changed` is called when `state` changed. @returns what ends that */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => void this.#watchers.delete(changed);
  }

  /**
   * @param size of its payloads, bytes
   * @throws Failure; the signal's reason: the order may have been carried out
   */
  ask<T>(question: Question, signal?: AbortSignal, size = 0): Promise<T> {
    return this.#ask(question, false, size, signal);
  }

  /** As ask(), again and again until it is done. @throws Failure only after close() */
  last<T>(question: Question): Promise<T> {
    return this.#ask(question, true, 0);
  }

  /** These wait again. */
  back(keys: number[]): void {
    if (this.#closed === undefined) this.#send({ order: { do: "back", keys }, size: 0 });
  }

  #ask<T>(question: Question, last: boolean, size: number, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const refusal = this.#closed ?? this.#mayQueue(question, size);
    if (refusal !== undefined) return Promise.reject(refusal);
    const n = ++this.#n;
    const order = { ...question, n } as Order;
    return new Promise((resolve, reject) => {
      const abort = () => {
        leave();
        this.#withdraw(n, order);
        reject(signal!.reason);
      };
      const leave = () => signal?.removeEventListener("abort", abort);
      signal?.addEventListener("abort", abort, { once: true });
      const asked: Asked = {
        order,
        size,
        last,
        resolve: (value: T) => {
          leave();
          resolve(value);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      this.#asked.set(n, asked);
      this.#send(asked);
    });
  }

  #mayQueue(question: Question, size: number): Failure | undefined {
    const full = question.do === "push" ? this.#outbox.full(size) : undefined;
    if (full === undefined) return undefined;
    return new Failure(`cannot store jobs in "${this.path}": ${full}`, {
      fix: "push more slowly, or put the file on a faster disk",
    });
  }

  #withdraw(n: number, order: Order): void {
    this.#asked.delete(n);
    if (this.#outbox.remove(order)) return;
    if (order.do === "take") this.#send({ order: { do: "leave", n }, size: 0 });
  }

  #send(sent: Sent): void {
    this.#outbox.add(sent);
    this.#soon();
  }

  /** What comes in this turn goes out together. */
  #soon(): void {
    if (this.#isOut || this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      if (!this.#isOut && this.#closed === undefined && !this.#outbox.isEmpty) this.#flush();
    });
  }

  /** @param isEnd the file is closed after what waits. @returns whether that was the last of it */
  #flush(isEnd = false): boolean {
    const orders = this.#outbox.batch();
    const end = isEnd && this.#outbox.isEmpty;
    this.#isOut = true;
    this.#thread.say({ now: this.#now(), orders, end }, transfers(payloadsOf(orders)));
    return end;
  }

  #now(): number {
    return Math.floor(this.#clock.now()) + this.#offset;
  }

  #heard({ answers, failed, wrote, gone, wake }: Reply): void {
    this.#isOut = false;
    for (const answer of answers) this.#answered(answer);
    if (failed !== undefined || gone) this.#down(failed ?? GONE);
    else if (wrote) this.#up();
    this.#wakeAt(wake);
    if (!this.#outbox.isEmpty) this.#soon();
  }

  #answered(answer: Answer): void {
    const asked = this.#asked.get(answer.n);
    if (asked === undefined) {
      // Whoever wanted these jobs is gone.
      const value = "value" in answer ? answer.value : undefined;
      if (Array.isArray(value)) this.back((value as GivenJob[]).map(({ key }) => key));
      return;
    }
    if ("error" in answer && asked.last) return void this.#parked.push(asked);
    this.#asked.delete(answer.n);
    if ("value" in answer) asked.resolve(answer.value);
    else asked.reject(this.#failure(asked.order, answer.error));
  }

  #failure(order: Order, reason: string): Failure {
    const what = order.do === "push"
      ? "store jobs in"
      : order.do === "take"
      ? "take jobs of"
      : "use";
    const fix = reason === GONE ? "put it back, or start the daemon again" : fixOf(reason);
    return new Failure(`cannot ${what} "${this.path}": ${reason}`, { fix });
  }

  #wakeAt(wake: number | undefined): void {
    this.#wake?.cancel();
    this.#wake = undefined;
    if (wake === undefined || this.#closed !== undefined) return;
    const ms = wake - this.#now();
    const ask = () => {
      if (!this.#isOut && this.#closed === undefined) this.#flush();
    };
    if (ms <= 0) ask();
    else this.#wake = this.#clock.timer(ms, ask);
  }

  // What cannot be written.

  #down(reason: string): void {
    const { fix, message } = this.#failure({ do: "touch", n: 0 }, reason);
    const error = fix === undefined ? message : `${message}; ${fix}`;
    if (this.#retry === undefined) {
      const ms = nextWait(AGAIN, this.#tries);
      const next_try_at = stamp(this.#clock.wall() + ms);
      this.#retry = this.#clock.timer(ms, () => {
        this.#retry = undefined;
        this.#send({ order: { do: "touch", n: ++this.#n }, size: 0 });
        this.#unpark();
      });
      this.state = { state: "connecting", error, next_try_at };
    } else this.state = { ...this.state, state: "connecting", error };
    this.#changed();
  }

  #up(): void {
    if (this.state.state === "ready") return;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#tries = freshHistory();
    this.state = { state: "ready" };
    this.#changed();
    this.#unpark();
  }

  #unpark(): void {
    for (const asked of this.#parked.splice(0)) this.#send(asked);
  }

  #changed(): void {
    for (const changed of [...this.#watchers]) changed();
  }

  // The end.

  /** The thread ended, which it never should. */
  #broke(reason: string): void {
    this.#end(`the thread of "${this.path}" broke: ${reason}`);
    this.state = { state: "connecting", error: this.#closed!.message };
    this.#changed();
  }

  #end(why: string): void {
    this.#closed ??= new Failure(why, { fix: "start the daemon again" });
    this.#retry?.cancel();
    this.#wake?.cancel();
    for (const { reject } of this.#asked.values()) reject(this.#closed);
    this.#asked.clear();
    this.#parked.length = 0;
  }

  /** Nothing is asked of it any more. Gives the file back. */
  async close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = new Failure(`the file "${this.path}" is closed`);
      const ended = Promise.withResolvers<void>();
      let isLast = false;
      this.#thread.onEnd = () => ended.resolve();
      this.#thread.onReply = (reply) => {
        this.#heard(reply as Reply);
        if (isLast) ended.resolve();
        else isLast = this.#flush(true);
      };
      this.#unpark();
      if (!this.#isOut) isLast = this.#flush(true);
      await within(this.#clock, CLOSE_LIMIT, ended.promise);
      this.#end("");
    }
    this.#thread.kill();
    this.#claim[Symbol.dispose]();
  }
}

function* payloadsOf(orders: readonly Order[]): Generator<Uint8Array<ArrayBuffer>> {
  for (const order of orders) {
    if (order.do !== "push") continue;
    for (const { payload } of order.jobs) yield payload;
  }
}
