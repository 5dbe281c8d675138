/**
 * One request sent to one program, and its answer sent back. See forward.ts for the table of
 * failures.
 *
 * Invariant: run() ends with the lease released, the counts as before, and the program's connection
 * either in the pool (request and answer whole) or closed.
 */

import type { Clock, Timer } from "../core/clock.ts";
import type { Lease } from "../core/gate.ts";
import type { Emit } from "../telemetry/events.ts";
import { answer } from "./answer.ts";
import { sameWord } from "./bytes.ts";
import { BodyBroken, type Exchange } from "./exchange.ts";
import { Kind } from "./fields.ts";
import { ResponseHead } from "./response_head.ts";
import { putRequest, requestRoom } from "./put_request.ts";
import type { ForwardSettings } from "./settings.ts";
import { Tunnel } from "./tunnel.ts";
import { Upload } from "./upload.ts";
import { ConnectFailed, type Upstream } from "./upstream.ts";
import type { NoAnswer, UpstreamConnection } from "./upstream_connection.ts";
import type { UpstreamSet } from "./upstream_set.ts";

/** `again`: on a fresh connection; `elsewhere`: on another program, or later. */
export type Outcome = "done" | "again" | "elsewhere";

/** Interim answers of one request; more is a broken program. */
const MOST_INTERIM = 32;
/** A program that ignores `Expect` would let both sides wait for ever: we answer for it. */
const EXPECT_MS = 1000;

/** Request buffers have at least the one size, and stay with their connection up to the other. */
const LEAST_OUT = 2048;
const KEPT_OUT = 16_384;

const SAFE = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
const WEBSOCKET = new TextEncoder().encode("websocket");
const H2C = new TextEncoder().encode("h2c");
const CONTINUE = ResponseHead.of(100);

export class Attempt {
  readonly #exchange: Exchange;
  readonly #settings: ForwardSettings;
  readonly #host: { clock: Clock; emit: Emit };
  readonly #upload: Upload;
  /** Sending it twice does no harm. */
  readonly #repeatable: boolean;
  readonly #upgrade: boolean;

  #lease!: Lease<UpstreamSet>;
  #upstream!: Upstream;
  #connection: UpstreamConnection | undefined;
  #tunnel: Tunnel | undefined;
  /** The client left or the drain was cut: nothing more to do. */
  #stopped = false;
  #fresh = false;
  /** It was sent, in vain, and goes out a second time. */
  #resent = false;
  /** A connection could not be made. */
  #unreached = false;
  /** The answer that a cut drain gives, on its way. */
  #farewell: Promise<void> | undefined;

  constructor(
    exchange: Exchange,
    settings: ForwardSettings,
    host: { clock: Clock; emit: Emit },
  ) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.#host = host;
    this.#upload = new Upload(exchange.body);
    this.#repeatable = exchange.body.length === 0 && SAFE.has(exchange.method);
    this.#upgrade = offersUpgrade(exchange);
  }

  /** @param last no further attempt follows */
  async run(lease: Lease<UpstreamSet>, upstream: Upstream, last: boolean): Promise<Outcome> {
    const exchange = this.#exchange;
    const { counts } = lease.target;
    const place = upstream.lease();
    if (place === undefined) {
      lease.release();
      return "elsewhere";
    }
    place.onCut = this.#cut;
    this.#lease = lease;
    this.#upstream = upstream;
    this.#connection = undefined;
    exchange.onGone = this.#stop;
    lease.onCut = this.#cut;
    counts.http++;
    try {
      return await this.#forward(last);
    } finally {
      if (this.#farewell !== undefined) await this.#farewell;
      exchange.onGone = undefined;
      lease.release();
      place.release();
      counts.http--;
      // Whatever was not given back whole is of no further use.
      (this.#connection as UpstreamConnection | undefined)?.close();
    }
  }

  async #forward(last: boolean): Promise<Outcome> {
    const upstream = this.#upstream;
    let connection = this.#fresh ? undefined : upstream.take(this.#repeatable);
    const reused = connection !== undefined;
    if (connection === undefined) {
      try {
        connection = await upstream.connect(this.#settings.timeouts.connect);
      } catch (error) {
        if (!(error instanceof ConnectFailed)) throw error;
        if (this.#stopped) return "done";
        if (!last && !this.#unreached) {
          this.#unreached = true;
          return "elsewhere";
        }
        return await this.#fail(error.timedOut ? 504 : 502, error.message);
      }
    }
    this.#connection = connection;
    if (this.#stopped) return "done";
    connection.begin(this.#settings.timeouts);
    const sent = await this.#send(connection);
    const upload = this.#upload;
    if (sent && !upload.complete) upload.start(connection);
    else connection.sent();
    if (
      !sent && connection.wire.taken === 0 && !this.#stopped && this.#mayResend(connection, last)
    ) {
      return this.#retry(reused);
    }
    const exchange = this.#exchange;
    const patience = exchange.head.expectsContinue ? this.#patience() : undefined;
    let head = await connection.readHead(exchange.method, this.#settings.limits);
    if (typeof head !== "string" && head.status < 200) {
      head = await this.#pastInterim(connection, head, patience);
    }
    patience?.cancel();
    if (this.#stopped) return "done";
    if (upload.broken !== undefined) throw upload.broken;
    if (typeof head !== "string") return await this.#respond(connection, head);
    const unanswered = head === "closed" && !connection.answered;
    if (unanswered && this.#repeatable && this.#mayResend(connection, last)) {
      return this.#retry(reused);
    }
    return await this.#fail(head === "timeout" ? 504 : 502, connection.reason);
  }

  /** Whether it may go out once more. What went to a program that had ended counts for nothing. */
  #mayResend(connection: UpstreamConnection, last: boolean): boolean {
    return !last && (!this.#resent || connection.orphaned);
  }

  #retry(reused: boolean): Outcome {
    this.#connection?.close();
    this.#fresh = true;
    this.#resent = true;
    return reused ? "again" : "elsewhere";
  }

  /** Sends the head with what is there of the body; the rest follows by itself. */
  #send(connection: UpstreamConnection): Promise<boolean> {
    const exchange = this.#exchange;
    const { head, body } = exchange;
    const upload = this.#upload;
    const room = requestRoom(head) + upload.firstRoom();
    if (connection.out.length < room) connection.out = new Uint8Array(Math.max(room, LEAST_OUT));
    const { out } = connection;
    const expect = head.expectsContinue && body.length !== 0 && head.minor === 1;
    let size = putRequest(out, exchange, this.#settings, {
      upgrade: this.#upgrade,
      expect,
      chunked: body.length < 0,
      host: this.#upstream.authority,
    });
    size = upload.putFirst(out, size);
    // The write holds on to its bytes; a large buffer is not kept for the next request.
    if (out.length > KEPT_OUT) connection.out = new Uint8Array(0);
    return connection.wire.write(out, 0, size);
  }

  /** Passes interim answers on until another head (or none) comes. */
  async #pastInterim(
    connection: UpstreamConnection,
    first: ResponseHead,
    patience: Timer | undefined,
  ): Promise<ResponseHead | NoAnswer> {
    const exchange = this.#exchange;
    let head: ResponseHead | NoAnswer = first;
    for (let interim = 0; typeof head !== "string" && head.status < 200; interim++) {
      if (head.status === 101) {
        if (this.#upgrade) return head;
        connection.reason = "101 without an upgrade";
        return "garbage";
      }
      if (interim >= MOST_INTERIM) {
        connection.reason = `more than ${MOST_INTERIM} interim answers`;
        return "garbage";
      }
      if (head.status === 100) patience?.cancel();
      await exchange.interim(head);
      head = await connection.readHead(exchange.method, this.#settings.limits);
    }
    return head;
  }

  /** Answers `Expect: 100-continue` for a program that does not. */
  #patience(): Timer | undefined {
    const { head, body } = this.#exchange;
    if (head.minor === 0 || body.length === 0) return undefined;
    return this.#host.clock.timer(EXPECT_MS, () => {
      // The promise of an interim answer never rejects; a client that is gone is told otherwise.
      if (!this.#upload.begun) this.#exchange.interim(CONTINUE);
    });
  }

  async #respond(connection: UpstreamConnection, head: ResponseHead): Promise<Outcome> {
    const exchange = this.#exchange;
    if (head.status === 101) return await this.#relay(connection, head);
    try {
      await exchange.respond(head, connection.body, this.#lease.draining);
    } catch (error) {
      if (!(error instanceof BodyBroken)) throw error;
      // The front has cut the client; what is left is to say why.
      if (!this.#stopped) this.#tell(`inside its answer: ${error.message}`);
      return "done";
    }
    if (!this.#stopped && this.#upload.complete) {
      this.#upstream.give(connection);
      this.#connection = undefined;
    }
    return "done";
  }

  async #relay(connection: UpstreamConnection, head: ResponseHead): Promise<Outcome> {
    const exchange = this.#exchange;
    const client = await exchange.upgrade(head);
    if (client === undefined || this.#stopped) {
      client?.close();
      return "done";
    }
    const websocket = isWebSocket(exchange);
    const tunnel = this.#tunnel = new Tunnel(client, connection, websocket, this.#host.clock);
    const { counts } = this.#lease.target;
    counts.http--;
    counts.websocket++;
    try {
      await tunnel.run();
    } finally {
      counts.http++;
      counts.websocket--;
    }
    return "done";
  }

  async #fail(status: number, reason: string): Promise<Outcome> {
    this.#tell(reason);
    const message = status === 504
      ? "the application did not answer in time"
      : "the application could not be reached or gave no valid answer";
    await answer(this.#exchange, status, message);
    return "done";
  }

  #tell(error: string): void {
    this.#host.emit("proxy_error", {
      release: this.#lease.target.release,
      upstream: this.#upstream.instance,
      error,
      target: `${this.#exchange.method} ${this.#exchange.target}`,
    });
  }

  /** The client left. */
  readonly #stop = (): void => {
    this.#stopped = true;
    this.#connection?.close();
  };

  /** The drain was cut. */
  readonly #cut = (): void => {
    if (this.#tunnel !== undefined) return this.#tunnel.cut();
    if (this.#stopped) return;
    this.#stopped = true;
    this.#connection?.close();
    const exchange = this.#exchange;
    if (exchange.answered) return exchange.cut();
    this.#farewell = answer(exchange, 503, "the release that was answering is being stopped", [
      ["Retry-After", "1"],
    ], true).catch(() => exchange.cut());
  };
}

/** True when the client offers to change to a protocol that we can tunnel. */
function offersUpgrade(exchange: Exchange): boolean {
  const { head } = exchange;
  if (!head.upgrade || !exchange.upgradable) return false;
  let offers = false;
  for (let i = 0; i < head.count; i++) {
    if (head.kind(i) !== Kind.upgrade) continue;
    // HTTP/2 is no protocol to tunnel: the offer is ignored (RFC 9113, 3.1).
    if (sameWord(head.bytes, head.valueStart(i), head.valueEnd(i), H2C)) return false;
    offers = head.valueEnd(i) > head.valueStart(i);
  }
  return offers;
}

function isWebSocket(exchange: Exchange): boolean {
  const { head } = exchange;
  for (let i = 0; i < head.count; i++) {
    if (head.kind(i) !== Kind.upgrade) continue;
    if (sameWord(head.bytes, head.valueStart(i), head.valueEnd(i), WEBSOCKET)) return true;
  }
  return false;
}
