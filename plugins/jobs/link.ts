/**
 * The link to a broker: it is dialled for ever, and whoever needs it waits for it.
 *
 * | state      | entered by           | next                                               |
 * | ---------- | -------------------- | -------------------------------------------------- |
 * | standing   | –                    | connecting, by open()                              |
 * | connecting | open(), a loss       | ready; or waiting, when dialling failed            |
 * | waiting    | a failed dial, a loss | connecting, when the time of the backoff is over   |
 * | ready      | a dial               | waiting, when the connection is lost               |
 * | closed     | close()              | –                                                  |
 *
 * Invariants: there is at most one connection, and one attempt to have one; a connection that comes
 * after its deadline, or after close(), is closed at once; whoever waits in ready() gets the next
 * connection, its own signal's reason, or hears of the close; never more than MAX_WAITING wait.
 */

import { freshHistory, nextWait, stayedUp, type WaitPolicy } from "../../lib/core/backoff.ts";
import { type Clock, stamp, type Timer, within } from "../../lib/core/clock.ts";
import { Failure, messageOf } from "../../lib/core/failure.ts";
import type { DriverState } from "./driver.ts";
import { Waiters } from "./waiters.ts";

/** Between two attempts. */
const REDIAL: WaitPolicy = { delay: 250, backoff_factor: 2, max_delay: 5000 };
/** For one attempt, until the connection can be used. */
export const DIAL_LIMIT = 5000;
/** How long a connection that is closed is waited for. */
export const CLOSE_LIMIT = 2000;
/** How long a question waits for a connection. */
export const ASK_LIMIT = 2000;
/** Callers that wait for the link at a time; more are turned away at once. */
export const MAX_WAITING = 10_000;

/** What a broker's client makes of itself for the link. */
export interface Connection {
  /** Resolves with the reason when it cannot be used any more; never rejects. */
  readonly lost: Promise<unknown>;
  /** Ends it; also one that was lost. Never rejects. */
  close(): Promise<void>;
}

/** How a link comes by its connections. */
export interface LinkSpec<C extends Connection> {
  /** Who is dialled, for messages: `redis at 127.0.0.1:6379`. */
  readonly whom: string;
  /** What to do about one that does not answer. */
  readonly fix: string;
  /** For one attempt, milliseconds; DIAL_LIMIT where none is named. */
  readonly limit?: number;
  /** A connection that can be used. `signal`: nobody waits for it any more. */
  dial(signal: AbortSignal): Promise<C>;
}

/** See the file's comment. */
export class Link<C extends Connection> implements AsyncDisposable {
  readonly #spec: LinkSpec<C>;
  readonly #clock: Clock;
  readonly #watchers = new Set<() => void>();
  readonly #waiters = new Waiters<C>();
  #state: DriverState = { state: "connecting" };
  #connection: C | undefined;
  /** Clock milliseconds; since then it is ready. */
  #since = 0;
  #dialling: AbortController | undefined;
  /** Settles when the dial of now has, also one that nobody waits for any more. */
  #dialled: Promise<void> = Promise.resolve();
  #redial: Timer | undefined;
  #tries = freshHistory();
  #opened = false;
  #closed = false;

  constructor(spec: LinkSpec<C>, clock: Clock) {
    this.#spec = spec;
    this.#clock = clock;
  }

  get state(): DriverState {
    return this.#state;
  }

  /** The connection of now, if there is one. */
  get connection(): C | undefined {
    return this.#connection;
  }

  /** `run` is called when `state` changed. @returns ends that */
  onState(run: () => void): () => void {
    this.#watchers.add(run);
    return () => void this.#watchers.delete(run);
  }

  /** Begins to connect; further calls do nothing. */
  open(): void {
    if (this.#opened || this.#closed) return;
    this.#opened = true;
    this.#dial();
  }

  /**
   * The connection, when there is one.
   * @throws the signal's reason; Failure after close(), or when too many wait
   */
  ready(signal?: AbortSignal): Promise<C> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closed) return Promise.reject(this.#closedFailure());
    if (this.#connection !== undefined) return Promise.resolve(this.#connection);
    if (this.#waiters.size >= MAX_WAITING) return Promise.reject(this.failure());
    return this.#waiters.wait(undefined, signal);
  }

  /** As ready(), for whoever has to say why there is none. @throws Failure, also by the signal */
  async reach(signal?: AbortSignal): Promise<C> {
    try {
      return await this.ready(signal);
    } catch (error) {
      throw signal?.aborted ? this.failure() : error;
    }
  }

  /** For questions, which do not wait long. @throws Failure */
  async soon(): Promise<C> {
    const late = new AbortController();
    const timer = this.#clock.timer(ASK_LIMIT, () => late.abort());
    try {
      return await this.reach(late.signal);
    } finally {
      timer.cancel();
    }
  }

  /** What to tell somebody who cannot wait for it any longer. */
  failure(): Failure {
    const { whom, fix } = this.#spec;
    const state = this.#state;
    const why = state.state === "ready" ? "answers too slowly" : notConnected(state.error);
    return new Failure(`${whom} ${why}`, { fix });
  }

  /** Ends it, its attempts and its connection; bounded by CLOSE_LIMIT. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#redial?.cancel();
    this.#dialling?.abort(this.#closedFailure());
    this.#waiters.refuse(this.#closedFailure());
    this.#watchers.clear();
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) await this.#drop(connection);
    else await within(this.#clock, CLOSE_LIMIT, this.#dialled);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #dial(): Promise<void> {
    const dialling = new AbortController();
    this.#dialling = dialling;
    this.#redial = undefined;
    const { whom, limit = DIAL_LIMIT } = this.#spec;
    const late = this.#clock.timer(limit, () => {
      dialling.abort(new Failure(`${whom} did not answer within ${limit / 1000} s`));
    });
    try {
      this.#have(await this.#connect(dialling.signal));
    } catch (error) {
      this.#failed(error);
    } finally {
      late.cancel();
    }
  }

  /** A connection that comes too late is closed. @throws the signal's reason, or why there is none */
  #connect(signal: AbortSignal): Promise<C> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      this.#dialled = this.#spec.dial(signal).then((connection) => {
        signal.removeEventListener("abort", abort);
        if (!signal.aborted) return resolve(connection);
        return this.#drop(connection);
      }, reject);
    });
  }

  #have(connection: C): void {
    if (this.#closed) return void this.#drop(connection);
    this.#connection = connection;
    this.#since = this.#clock.now();
    connection.lost.then((error) => {
      if (this.#connection !== connection) return;
      this.#connection = undefined;
      stayedUp(REDIAL, this.#tries, this.#clock.now() - this.#since);
      this.#drop(connection);
      this.#failed(error);
    });
    this.#turn({ state: "ready" });
    this.#waiters.serve(() => connection);
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    const ms = nextWait(REDIAL, this.#tries);
    this.#redial = this.#clock.timer(ms, () => this.#dial());
    const next_try_at = stamp(this.#clock.wall() + ms);
    this.#turn({ state: "connecting", error: messageOf(error), next_try_at });
  }

  #turn(state: DriverState): void {
    this.#state = state;
    for (const watch of [...this.#watchers]) watch();
  }

  /** Bounded: whoever is gone does not say goodbye. */
  #drop(connection: C): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.timer(CLOSE_LIMIT, resolve);
      connection.close().finally(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #closedFailure(): Failure {
    return new Failure(`the connection to ${this.#spec.whom} is closed`);
  }
}

function notConnected(error: string | undefined): string {
  return error === undefined ? "is not connected yet" : `is not connected: ${error}`;
}

/**
 * The links of one kind of drivers: those who want the same one share it.
 *
 * Invariant: a link is open from its first user until its last has given it back.
 */
export class Links<C extends Connection> implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #links = new Map<string, { link: Link<C>; users: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The link of that key, opened; to be given back once. */
  borrow(key: string, spec: LinkSpec<C>): Link<C> {
    let entry = this.#links.get(key);
    if (entry === undefined) {
      entry = { link: new Link(spec, this.#clock), users: 0 };
      this.#links.set(key, entry);
      entry.link.open();
    }
    entry.users++;
    return entry.link;
  }

  /** Nobody else may use it after its last user. */
  async giveBack(key: string): Promise<void> {
    const entry = this.#links.get(key);
    if (entry === undefined || --entry.users > 0) return;
    this.#links.delete(key);
    await entry.link.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all(links.map(({ link }) => link.close()));
  }
}
