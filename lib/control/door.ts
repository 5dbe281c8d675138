/**
 * One listening control socket.
 *
 * Invariant: closing never unlinks a socket that another put at the path since.
 *
 * Deno.serve facts this rests on, measured with 2.7.11 and 2.9.6: it binds before it returns. A
 * request's `completed` resolves before the kernel has its answer: an abort() right after it cuts
 * every answer on 2.7, a shutdown() only what does not fit into the socket's buffer (200 KB; no answer
 * that a command waits for is that long). shutdown() may wait for ever when there is half a request
 * head (2.7), and an abort() after it ends the process with an uncaught error. So the two endings are
 * never mixed:
 *
 * | ending            | how                                                                        |
 * | ----------------- | -------------------------------------------------------------------------- |
 * | close, all idle   | shutdown(), left alone when it does not end: half a head dies with us      |
 * | close, still busy | abort()                                                                    |
 * | retire            | abort(), a good while after the last answer                                |
 */

import { type Clock, type Timer, within } from "../core/clock.ts";
import {
  type PlacedSocket,
  placeSocket,
  type SocketPlace,
  type SocketWords,
} from "../os/socket_file.ts";
import { connectionsOf } from "../os/unix_sockets.ts";
import type { App, Visit } from "./app.ts";

/** What failures say of the socket. */
export const CONTROL_SOCKET: SocketWords = {
  name: "control socket",
  elsewhere: "set control.socket to another place",
  otherRights:
    "remove control.owner and control.group, or run the daemon as a user who may set them",
};

/** How long the answers of a retired door may take to be read, milliseconds. */
const LAST_ANSWERS = 10_000;

/** How long the connections of a closing door, all of them idle, may take to end, milliseconds. */
const LAST_BYTES = 1_000;

/** One Deno.serve on one socket. */
export class Door {
  readonly #socket: PlacedSocket<Deno.HttpServer<Deno.UnixAddr>>;
  readonly #cut = new AbortController();
  readonly #closing = new AbortController();
  readonly #clock: Clock;
  readonly #app: App;
  readonly #visits = new Set<Visit>();
  #changed = Promise.withResolvers<void>();
  /** Shut down or aborted: neither may follow. */
  #ended = false;
  #retiring: Timer | undefined;
  /** Connections seen at the last look, and when that was. */
  #seen: { at: number; connections: Set<string> } = { at: 0, connections: new Set() };

  /** @throws Failure when the socket cannot be put into place */
  constructor(place: SocketPlace, app: App, clock: Clock) {
    this.#clock = clock;
    this.#app = app;
    this.#socket = placeSocket(
      place,
      CONTROL_SOCKET,
      (path) => this.#listen(path),
      () => this.#cut.abort(),
    );
  }

  /** Requests being worked on. */
  get working(): number {
    return [...this.#visits].filter((visit) => visit.working).length;
  }

  /** Removes the socket's name, if it is still this socket's. */
  unlink(): void {
    this.#socket.unlink();
  }

  /**
   * How many connections were there at the last look too and belong to nothing being worked on:
   * silent ones, half requests, idle ones, readers that do not read.
   */
  silent(): number {
    const connections = connectionsOf(this.#socket.boundAs);
    const before = this.#seen;
    this.#seen = { at: this.#clock.now(), connections };
    const stayed = [...connections].filter((inode) => before.connections.has(inode)).length;
    const busy = [...this.#visits].filter((visit) => visit.working && visit.since <= before.at);
    return Math.max(0, stayed - busy.length);
  }

  /** Ends those that follow; new requests through this door are refused. */
  endFollowers(): void {
    this.#closing.abort();
  }

  /**
   * Takes no new request, and ends once nothing is being worked on: for a door whose place another
   * has taken. `onEnd` is called unless close() comes first.
   */
  async retire(onEnd: () => void): Promise<void> {
    await this.#until(() => this.working === 0);
    if (this.#ended) return;
    this.#retiring = this.#clock.timer(LAST_ANSWERS, () => {
      this.#abort();
      onEnd();
    });
  }

  /** Lets what is being worked on end within `ms` milliseconds, else cuts it. */
  async close(ms: number): Promise<void> {
    this.endFollowers();
    this.#retiring?.cancel();
    const idle = await within(this.#clock, ms, this.#until(() => this.#visits.size === 0));
    if (this.#ended) return;
    if (!idle.done) {
      this.#abort();
      await this.#socket.bound.finished;
      return;
    }
    this.#ended = true;
    await within(this.#clock, LAST_BYTES, this.#socket.bound.shutdown());
  }

  #abort(): void {
    this.#ended = true;
    this.#cut.abort();
  }

  /** Waits for a state of the visits. */
  async #until(reached: () => boolean): Promise<void> {
    while (!reached()) await this.#changed.promise;
  }

  #listen(path: string): Deno.HttpServer<Deno.UnixAddr> {
    // Deno lets this variable redirect the first server of a process.
    Deno.env.delete("DENO_SERVE_ADDRESS");
    const options = { path, signal: this.#cut.signal, onListen: () => {} };
    return Deno.serve(options, (request, info) => this.#visit(request, info.completed));
  }

  #visit(request: Request, completed: Promise<void>): Promise<Response> {
    const visit: Visit = {
      working: true,
      since: this.#clock.now(),
      closing: this.#closing.signal,
      done: () => {
        visit.working = false;
        this.#change();
      },
    };
    this.#visits.add(visit);
    const left = () => {
      this.#visits.delete(visit);
      visit.done();
    };
    // Rejects when the client went before it had the whole answer; either way it is over.
    completed.then(left, left);
    return this.#app(request, visit);
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
