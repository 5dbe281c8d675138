/**
 * One program that answers, and the keep-alive connections to it.
 *
 * Invariants: at most `MOST_IDLE` connections lie idle; after close() idle connections are gone and
 * busy ones end with their answer; after ended() no answer begins on a connection made before;
 * `outstanding` is the number of requests and tunnels that were begun and not ended.
 */

import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import { type Draining, Gate, type Lease } from "../core/gate.ts";
import { Sweeper } from "./sweeper.ts";
import { UpstreamConnection } from "./upstream_connection.ts";

const MOST_IDLE = 512;
/** A request that must not be sent twice takes no connection that lay idle longer. */
const FRESH_MS = 1000;

/** What upstreams need of the outside. */
export interface UpstreamHost {
  clock: Clock;
}

/** A connection could not be made. */
export class ConnectFailed extends Error {
  override readonly name = "ConnectFailed";
  constructor(message: string, readonly timedOut: boolean) {
    super(message);
  }
}

export class Upstream {
  /** Takes requests; false while the program is not healthy. */
  ready = true;
  /** What Host says to it when the client said nothing: `127.0.0.1:18182`. */
  readonly authority: string;
  readonly #gate: Gate<Upstream>;
  readonly #host: UpstreamHost;
  readonly #sweeper: Sweeper<UpstreamConnection>;
  readonly #idle: UpstreamConnection[] = [];
  /** How often the program ended. */
  #ends = 0;
  #closed = false;

  /** `instance`: id of the process; `hostname`, `port`: where it listens. */
  constructor(
    readonly instance: string,
    readonly hostname: string,
    readonly port: number,
    host: UpstreamHost,
  ) {
    this.authority = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
    this.#host = host;
    this.#sweeper = new Sweeper(host.clock);
    this.#gate = new Gate(host.clock);
    this.#gate.swap(this);
  }

  /** Requests and tunnels in flight. */
  get outstanding(): number {
    return this.#gate.held;
  }

  /** The right to send one request; undefined after retire(). */
  lease(): Lease<Upstream> | undefined {
    return this.#gate.lease();
  }

  /** No more requests; what is in flight finishes or is cut with the drain. */
  retire(): Draining {
    this.ready = false;
    return this.#gate.swap(undefined);
  }

  /** Connections open now, idle and busy. */
  get connections(): number {
    return this.#sweeper.size;
  }

  /** Connections in the pool. */
  get idle(): number {
    return this.#idle.length;
  }

  /** A pooled connection; `repeatable`: the request may be sent again if it turns out stale. */
  take(repeatable: boolean): UpstreamConnection | undefined {
    const pool = this.#idle;
    if (pool.length === 0) return undefined;
    const last = pool[pool.length - 1];
    // The last one is the youngest: if it is too old, all are.
    if (!repeatable && this.#sweeper.now - last.idleSince >= FRESH_MS) return undefined;
    pool.length--;
    return last;
  }

  /**
   * A new connection.
   * @param ms limit in milliseconds; 0: the system's
   * @throws ConnectFailed
   */
  async connect(ms: number): Promise<UpstreamConnection> {
    const ends = this.#ends;
    const dial = Deno.connect({ hostname: this.hostname, port: this.port });
    let late = false;
    const { promise, reject, resolve } = Promise.withResolvers<Deno.TcpConn>();
    const timer = ms > 0
      ? this.#host.clock.timer(ms, () => {
        late = true;
        reject(new ConnectFailed(`no connection within ${ms} ms`, true));
      })
      : undefined;
    dial.then((conn) => {
      if (late) conn.close();
      else resolve(conn);
    }, (error) => reject(new ConnectFailed(messageOf(error), false)));
    try {
      const conn = await promise;
      if (ends === this.#ends) return new UpstreamConnection(conn, this.#sweeper);
      conn.close();
    } finally {
      timer?.cancel();
    }
    throw new ConnectFailed("the program ended meanwhile", false);
  }

  /**
   * The program has ended (it was not merely asked to): a stranger may have its port, so no answer
   * may begin any more on the connections of now. Idle ones are closed, the others after a grace.
   */
  ended(): void {
    this.ready = false;
    this.#ends++;
    const now = this.#host.clock.now();
    for (const connection of [...this.#sweeper]) connection.orphan(now);
  }

  /** A connection whose answer ended: into the pool if it can be used again. */
  give(connection: UpstreamConnection): void {
    if (this.#closed || this.#idle.length >= MOST_IDLE) return connection.close();
    if (!connection.finish()) return;
    connection.onSpoiled ??= () => this.#remove(connection);
    this.#idle.push(connection);
  }

  /** Idle connections end now, busy ones when their answer is done. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #remove(connection: UpstreamConnection): void {
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
  }
}
