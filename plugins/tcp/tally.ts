/**
 * What is counted of connections, and what is told of those that we ended.
 *
 * Invariants: everything that ends a connection from our side is counted; the log hears at once of the
 * first that a client could have avoided, of further ones in sums every ten seconds, and of all.
 */

import type { Clock, Timer } from "../../lib/core/clock.ts";
import { TurnedAway } from "../../lib/pool/turned_away.ts";
import type { Emit } from "../../lib/telemetry/events.ts";
import type { Counter, Metrics } from "../../lib/telemetry/metrics.ts";
import type { TcpEvent } from "./event.ts";

/** Why a connection was ended from our side. */
export type CutReason =
  /** It would be one more than `max_connections`. */
  | "limit"
  | "no_release"
  /** A message longer than `read_buf_size`. */
  | "too_long"
  /** The client took no byte for `send_timeout`. */
  | "stalled"
  /** `idle_timeout` */
  | "idle"
  /** TLS was not agreed on in time. */
  | "handshake"
  /** `drain_timeout` */
  | "drain"
  /** `tcp.Close` */
  | "asked";

/** What the log hears of. The others happen in good order. */
const TOLD: Partial<Record<CutReason, string>> = {
  limit: "there are max_connections already",
  no_release: "no release is live",
  too_long: "a message is longer than read_buf_size",
  stalled: "the client took no byte for send_timeout",
};

/** How long sums are held back, milliseconds: a little more than they have to be. */
const LATER = 10_100;

/** What a tally needs of the outside. */
export interface TallyHost {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly metrics: Metrics;
}

/** See the file's comment. */
export class Tally implements Disposable {
  /** Events that went to workers. */
  events = 0;
  readonly #host: TallyHost;
  readonly #connections: Counter;
  readonly #events: Counter;
  readonly #failures: Counter;
  readonly #cuts: Counter;
  readonly #sums = new Map<string, TurnedAway>();
  #later: Timer | undefined;

  constructor(host: TallyHost) {
    this.#host = host;
    const { metrics } = host;
    const counter = (what: string, help: string, ...labels: string[]) =>
      metrics.counter({
        name: `supervisor_tcp_${what}_total`,
        help,
        labels: ["server", ...labels],
      });
    this.#connections = counter("connections", "Connections taken");
    this.#events = counter("events", "Events told to workers", "event");
    this.#failures = counter("failed_events", "Events that no worker answered", "kind");
    this.#cuts = counter("cut_connections", "Connections ended from our side", "reason");
  }

  connected(server: string): void {
    this.#connections.add(1, server);
  }

  told(server: string, event: TcpEvent): void {
    this.events++;
    this.#events.add(1, server, event);
  }

  failed(server: string, kind: string): void {
    this.#failures.add(1, server, kind);
  }

  cut(server: string, client: string, reason: CutReason): void {
    this.#cuts.add(1, server, reason);
    const why = TOLD[reason];
    if (why === undefined) return;
    const { clock, emit } = this.#host;
    const key = `${server} ${reason}`;
    let sum = this.#sums.get(key);
    if (sum === undefined) {
      sum = new TurnedAway((connections, client) =>
        emit("tcp_connections_cut", { server, reason: why, client, connections })
      );
      this.#sums.set(key, sum);
    }
    sum.count(client, clock.now());
    this.#later ??= clock.timer(LATER, () => {
      this.#later = undefined;
      this.#flush();
    });
  }

  [Symbol.dispose](): void {
    this.#later?.cancel();
    this.#flush(Infinity);
  }

  #flush(now = this.#host.clock.now()): void {
    for (const sum of this.#sums.values()) sum.flush(now);
  }
}
