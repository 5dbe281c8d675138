/**
 * One client connection of the raw front: requests one after the other, answers in their order.
 *
 * | phase   | meaning                          | ends with                    | limit            |
 * | ------- | -------------------------------- | ---------------------------- | ---------------- |
 * | handshake | TLS is being agreed on         | done → idle; fails → end     | header: closed   |
 * | idle    | no byte of the next request      | first byte → head            | idle: closed     |
 * | head    | some bytes of a head             | complete → answer            | header: 408      |
 * | answer  | the handler works                | done → idle, linger or end   | write: send, cut |
 * | body    | the handler waits for body bytes | bytes → answer               | idle: 408 or cut |
 * | tunnel  | the connection left HTTP         | handler done → end           | write: send, cut |
 * | linger  | answered, being closed           | peer's end or limit → end    | 2 s, 1 MiB       |
 * | end     | closed                           | –                            | –                |
 *
 * Invariants: whatever comes in or goes wrong ends in `end`, once, and `run()` never rejects; a
 * refused request is answered and the connection closed, because nobody knows where the next one
 * would begin; the client's leaving is told to the handler at once after a reset, and after a short
 * grace when it only closed its sending side (it may be reading still).
 */

import { messageOf } from "../core/failure.ts";
import { ownAnswer } from "./answer.ts";
import { BodyBroken, type ByteTunnel, type ClientAddress, type Handler } from "./exchange.ts";
import { COMPLETE, MORE } from "./fields.ts";
import { CHUNKED, FramedBody, type Source } from "./framed_body.ts";
import type { FrontHost, FrontOptions } from "./front.ts";
import { RequestHead } from "./head.ts";
import { Inbox } from "./inbox.ts";
import type { Leftovers } from "./leftovers.ts";
import { putResponseHead } from "./put_head.ts";
import { RawExchange } from "./raw_exchange.ts";
import { RawTunnel } from "./raw_tunnel.ts";
import type { Sweeper, Watched } from "./sweeper.ts";
import { Wire } from "./wire.ts";

/** How long, and how much, a client may go on sending after its connection's last answer. */
const LINGER_MS = 2000;
const LINGER_BYTES = 1 << 20;
/** A client that ended its sending side is gone when nothing could be sent to it for so long. */
const HALF_CLOSED_MS = 250;
/** What idle connections still get when the front drains. */
const IDLE_GRACE_MS = 1000;

type Phase = "handshake" | "idle" | "head" | "answer" | "body" | "tunnel" | "linger" | "end";

/** What connections share: the front, as far as they know it. */
export interface Shared {
  readonly handler: Handler;
  readonly host: FrontHost;
  readonly sweeper: Sweeper;
  readonly leftovers: Leftovers;
  options: FrontOptions;
  /** Clock milliseconds since which the front drains. */
  readonly drainingSince: number | undefined;
  requests: number;
  served: number;
}

export class RawConnection implements Watched, Source {
  readonly head = new RequestHead();
  readonly body: FramedBody;
  readonly wire: Wire;
  readonly inbox: Inbox;
  readonly client: ClientAddress;
  readonly tls: boolean;
  readonly shared: Shared;
  /** Another request may follow on this connection. */
  keep = true;

  #phase: Phase = "handshake";
  /** When the phase began, or made progress last. */
  #since = 0;
  #halfClosedSince: number | undefined;
  #exchange: RawExchange | undefined;
  /** The answer to a request that did not come in time, and the close after it. */
  #expiring: Promise<void> | undefined;

  constructor(conn: Deno.Conn, shared: Shared) {
    this.shared = shared;
    this.wire = new Wire(conn, shared.sweeper);
    // Only TLS connections have a handshake to wait for.
    this.tls = "handshake" in conn;
    this.client = addressOf(conn.remoteAddr);
    this.inbox = new Inbox(this.wire, this.head, this.#onRead);
    this.body = new FramedBody(this);
  }

  /** Serves the connection until its end. */
  async run(): Promise<void> {
    // Between connections the sweeper's time stands still.
    this.#enter("handshake");
    try {
      if (this.tls && !await this.#shakeHands()) return;
      while (await this.#serveOne());
      await (this.#expiring ?? this.#linger());
    } catch (error) {
      this.#report("connection", error);
    } finally {
      this.end();
    }
  }

  /** Ends the connection now. */
  end(): void {
    // The runtime holds a socket until its write is taken, and one with TLS until both sides ended.
    const held = this.wire.writing || (this.tls && this.inbox.state === 1);
    if (held && !this.wire.closed) this.shared.leftovers.add(this.client);
    this.#phase = "end";
    this.wire.close();
    this.#left();
  }

  sweep(now: number): void {
    const { timeouts } = this.shared.options;
    if (this.wire.stalled(now, timeouts.send)) return this.end();
    const waited = now - this.#since;
    switch (this.#phase) {
      case "handshake":
        if (timeouts.header > 0 && waited >= timeouts.header) return this.end();
        if (now - (this.shared.drainingSince ?? now) >= IDLE_GRACE_MS) return this.end();
        return;
      case "idle":
        if (timeouts.idle > 0 && waited >= timeouts.idle) return this.end();
        if (now - (this.shared.drainingSince ?? now) >= IDLE_GRACE_MS) return this.end();
        return;
      case "head":
        if (timeouts.header > 0 && waited >= timeouts.header) this.#expire();
        return;
      case "body":
        if (timeouts.idle > 0 && waited >= timeouts.idle) this.#expire();
        return;
      case "linger":
        if (waited >= LINGER_MS) this.end();
        return;
      case "answer": {
        const since = this.#halfClosedSince;
        if (since === undefined) return;
        const quiet = now - Math.max(since, this.wire.progress);
        if (quiet >= HALF_CLOSED_MS) this.end();
        return;
      }
    }
  }

  /** True while a request is being answered. */
  get busy(): boolean {
    return this.#exchange !== undefined;
  }

  // --- Source: what the body reads from -------------------------------------------------------

  get bytes(): Uint8Array {
    return this.inbox.bytes;
  }
  get from(): number {
    return this.inbox.from;
  }
  set from(at: number) {
    this.inbox.from = at;
  }
  get to(): number {
    return this.inbox.to;
  }

  async more(): Promise<number> {
    if (this.#expiring !== undefined) return -1;
    this.#enter("body");
    const count = await this.inbox.moreBody();
    if (this.#phase === "body") this.#enter("answer");
    return count;
  }

  bodyEnded(): void {
    this.inbox.bodyEnded();
    this.inbox.lookAhead();
  }

  // --- what exchanges ask for ------------------------------------------------------------------

  /** Hands the connection over as raw bytes. */
  tunnel(): ByteTunnel {
    this.#enter("tunnel");
    return new RawTunnel(this.inbox, this.wire);
  }

  /** @returns false when the client speaks no TLS that we speak, or left. */
  async #shakeHands(): Promise<boolean> {
    const failure = await this.wire.handshake();
    if (failure === undefined) return true;
    const { address } = this.client;
    this.shared.host.emit("tls_refused", { reason: failure, client: address });
    return false;
  }

  // --- requests ----------------------------------------------------------------------------------

  /** One request. @returns false when the connection shall be closed. */
  async #serveOne(): Promise<boolean> {
    const { head, inbox, shared } = this;
    const { limits } = shared.options;
    inbox.rewind();
    this.#enter("idle");
    let status = MORE;
    while (inbox.empty) if (await inbox.moreHead(limits.header_bytes) <= 0) return false;
    this.#enter("head");
    head.reset(inbox.bytes, inbox.from, limits.header_bytes, limits.headers);
    for (;;) {
      status = head.feed(inbox.to);
      inbox.from = head.at;
      if (status !== MORE) break;
      if (await inbox.moreHead(limits.header_bytes) <= 0) return false;
    }
    if (status === COMPLETE) status = this.#accept();
    if (status !== COMPLETE) {
      await this.refuse(status, head.reason);
      return false;
    }
    await this.#answer();
    return this.keep && this.body.ended && !this.wire.closed;
  }

  /** Decides about framing and limits of a complete head. */
  #accept(): number {
    const { head, inbox, body } = this;
    const { limits } = this.shared.options;
    inbox.from = head.at + head.size;
    if (head.method === "CONNECT") {
      head.reason = "CONNECT is not supported";
      return 405;
    }
    if (limits.body > 0 && head.contentLength > limits.body) {
      head.reason = `the body is larger than ${limits.body} bytes`;
      return 413;
    }
    const framing = head.chunked ? CHUNKED : Math.max(0, head.contentLength);
    body.reset(framing, limits.body, limits.header_bytes, limits.headers);
    this.keep = head.persistent;
    return COMPLETE;
  }

  async #answer(): Promise<void> {
    const { shared } = this;
    const exchange = this.#exchange = new RawExchange(this);
    shared.requests++;
    shared.served++;
    this.#enter("answer");
    if (this.body.ended) this.inbox.lookAhead();
    // A client may end its sending side behind several requests at once.
    if (this.inbox.state === 0) this.#halfClosedSince ??= shared.sweeper.now;
    try {
      const working = shared.handler(exchange);
      if (working !== undefined) await working;
      if (!exchange.answered) {
        if (!exchange.gone) this.#report("handler", new Error("it returned without an answer"));
        await this.#apologise(exchange, 500, "the request was not answered");
      }
    } catch (error) {
      await this.#failed(exchange, error);
    } finally {
      shared.requests--;
      this.#exchange = undefined;
    }
    // A body that is here and was not asked for does not cost the connection.
    if (this.body.here) this.body.discard();
  }

  async #failed(exchange: RawExchange, error: unknown): Promise<void> {
    if (error instanceof BodyBroken) {
      await this.#apologise(exchange, error.status, error.message);
    } else {
      this.#report("handler", error);
      await this.#apologise(exchange, 500, "the request failed");
    }
  }

  /** An own answer for a handler that has none; half an answer is never given a clean end. */
  async #apologise(exchange: RawExchange, status: number, message: string): Promise<void> {
    if (exchange.gone) return;
    if (exchange.answered) return this.end();
    const own = ownAnswer(this.head, status, message);
    await exchange.respond(own.head, own.body, true);
  }

  /** Answers what is no acceptable request. */
  async refuse(status: number, reason: string): Promise<void> {
    const { address } = this.client;
    this.shared.host.emit("proxy_refused", { status, reason, client: address });
    const fields: [string, string][] = status === 405
      ? [["Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]]
      : [];
    const own = ownAnswer(undefined, status, reason, fields);
    const length = own.body.length;
    const out = new Uint8Array(own.head.size + length + 256);
    const at = putResponseHead(out, 0, own.head, {
      length,
      dropLength: true,
      connection: "close",
    });
    out.set(own.body.bytes, at);
    this.#enter("answer");
    const end = this.head.method === "HEAD" ? at : at + length;
    await this.wire.write(out, 0, end);
  }

  /** A head or body did not come in time. */
  #expire(): void {
    const where = this.#phase;
    const exchange = this.#exchange;
    if (exchange?.answered) return this.end();
    if (exchange !== undefined) exchange.answered = true;
    this.keep = false;
    this.#left();
    this.#expiring = this.refuse(408, `no complete ${where} in time`)
      .then(() => this.#linger())
      .then(() => this.end());
  }

  /** Lets the client read the answer before the connection goes (RFC 9112, 9.6). */
  async #linger(): Promise<void> {
    const { inbox, wire } = this;
    if (wire.closed || inbox.state === -1) return;
    this.#enter("linger");
    await wire.closeWrite();
    let left = LINGER_BYTES;
    const pending = inbox.pending;
    if (pending !== undefined) left -= Math.max(0, await pending);
    while (left > 0 && !wire.closed && inbox.state === 1) {
      const count = await inbox.readInto(inbox.bytes);
      if (count <= 0) return;
      left -= count;
    }
  }

  readonly #onRead = (count: number): void => {
    if (count > 0) {
      if (this.#phase === "idle") this.#enter("head");
      else if (this.#phase === "body") this.#since = this.shared.sweeper.now;
      else if (this.#phase === "answer" && this.body.ended) this.inbox.lookAhead();
    } else if (this.#exchange !== undefined && this.#phase === "answer") {
      if (count === 0) this.#halfClosedSince = this.shared.sweeper.now;
      else this.end();
    }
  };

  #enter(phase: Phase): void {
    if (this.#phase === "end") return;
    this.#phase = phase;
    this.#since = this.shared.sweeper.now;
  }

  #left(): void {
    this.#exchange?.leave();
  }

  #report(where: string, error: unknown): void {
    this.shared.host.emit("internal_error", {
      where: `http ${where}`,
      error: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
  }
}

function addressOf(address: Deno.Addr): ClientAddress {
  return address.transport === "tcp" || address.transport === "udp"
    ? { address: address.hostname, port: address.port }
    : { address: "", port: 0 };
}
