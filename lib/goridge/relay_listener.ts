/**
 * One address where workers connect, for all who wait for workers there.
 *
 * | a connection … | becomes                                                               |
 * | -------------- | --------------------------------------------------------------------- |
 * | accepted       | asked for its pid, at once and beside all others                      |
 * | silent         | closed at its deadline, or when there are too many silent ones (the oldest) |
 * | answers a pid  | the relay of the worker that is waited for; nobody's: closed          |
 * | answers else   | closed                                                                |
 *
 * Invariants: a connection that is not a worker's costs only itself; the log hears of such connections
 * now and then, however many they are; after close() nothing is open and nobody waits.
 */

import { acceptAll } from "../core/accept.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { Emit } from "../telemetry/events.ts";
import type { Expected } from "./doors.ts";
import { shakeHands } from "./handshake.ts";
import type { Listener } from "./listen.ts";
import type { Relay } from "./relay.ts";
import { socketRelay } from "./socket.ts";

/** How long a connection may take to say who it is, milliseconds. */
const HANDSHAKE_TIME = 60_000;

/** Connections that have not said who they are. */
const MAX_SILENT = 256;

/** The log hears of refused connections this often at most, milliseconds. */
const REFUSED_INTERVAL = 10_000;

interface Waiting {
  expected: Expected;
  resolve(relay: Relay): void;
  reject(reason: unknown): void;
}

/** A bound address with the workers that are waited for. */
export class RelayListener {
  /** Resolves when the address is free again, a moment after close(). */
  readonly ended: Promise<void>;
  readonly #listener: Listener;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #waiting = new Set<Waiting>();
  /** Oldest first, each with its deadline. */
  readonly #silent = new Map<Relay, Timer>();
  readonly #closing = new AbortController();
  #refused = { count: 0, since: -Infinity };

  constructor(listener: Listener, clock: Clock, emit: Emit) {
    this.#listener = listener;
    this.#clock = clock;
    this.#emit = emit;
    this.ended = this.#accept();
  }

  /** As workers shall use it. */
  get dsn(): string {
    return this.#listener.dsn;
  }

  /** As {@linkcode Listener.give}. */
  give: Listener["give"] = (owner) => this.#listener.give(owner);

  /** As {@linkcode RelayDoor.expect}. */
  expect(expected: Expected): Promise<Relay> {
    const { signal } = expected;
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiting);
        signal.removeEventListener("abort", onAbort);
      };
      const waiting: Waiting = {
        expected,
        resolve: (relay) => (leave(), resolve(relay)),
        reject: (reason) => (leave(), reject(reason)),
      };
      const onAbort = () => waiting.reject(signal.reason);
      signal.addEventListener("abort", onAbort);
      this.#waiting.add(waiting);
    });
  }

  /** Ends listening, all that is silent, and all waiting. */
  close(): void {
    this.#closing.abort();
    this.#listener.close();
    for (const relay of [...this.#silent.keys()]) relay.close();
    for (const waiting of [...this.#waiting]) {
      waiting.reject(new Failure(`the relay address "${this.dsn}" was closed`));
    }
  }

  #accept(): Promise<void> {
    const { signal } = this.#closing;
    return acceptAll({
      clock: this.#clock,
      open: () => !signal.aborted,
      next: () => this.#listener.accept(),
      take: (conn) => void this.#welcome(socketRelay(conn, this.#clock)),
      failed: (error) =>
        this.#emit("internal_error", { where: "relay accept", error: messageOf(error) }),
    });
  }

  async #welcome(relay: Relay): Promise<void> {
    const [oldest] = this.#silent.keys();
    if (this.#silent.size >= MAX_SILENT) oldest.close();
    this.#silent.set(relay, this.#clock.timer(HANDSHAKE_TIME, () => relay.close()));
    let wrong = "it did not say who it is";
    try {
      const pid = await shakeHands(relay, Deno.pid);
      const waiting = pid === undefined ? undefined : this.#whose(pid);
      if (waiting !== undefined) return waiting.resolve(relay);
      if (pid !== undefined) wrong = `nobody waits for a worker with pid ${pid}`;
    } catch (error) {
      wrong = messageOf(error);
    } finally {
      this.#silent.get(relay)?.cancel();
      this.#silent.delete(relay);
    }
    relay.close();
    if (!this.#closing.signal.aborted) this.#refuse(wrong);
  }

  #whose(pid: number): Waiting | undefined {
    for (const waiting of this.#waiting) if (waiting.expected.isIt(pid)) return waiting;
  }

  #refuse(reason: string): void {
    const now = this.#clock.now();
    this.#refused.count++;
    if (now - this.#refused.since < REFUSED_INTERVAL) return;
    this.#emit("relay_refused", { relay: this.dsn, reason, connections: this.#refused.count });
    this.#refused = { count: 0, since: now };
  }
}
