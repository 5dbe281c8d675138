/**
 * One client connection: its events go to workers, one after the other, and what they answer is done.
 *
 * | phase     | entered by                  | ends with                                                 |
 * | --------- | --------------------------- | --------------------------------------------------------- |
 * | handshake | accepted                    | TLS agreed on → CONNECTED; refused, too slow → over        |
 * | event     | CONNECTED, DATA             | CONTINUE → reading; WRITE → writing, reading; WRITECLOSE → writing, closing; CLOSE, no verb → closing; not answered → over |
 * | reading   | it is the client's turn     | a message → event; its end → the rest as an event, closing; reset, too long, idle → closing |
 * | writing   | bytes of an answer          | the client took them, or is gone; too slow → closing       |
 * | closing   | also cut(), close()         | CLOSE answered (or none is told), and the client has seen the end → over |
 * | over      | end()                       | –                                                          |
 *
 * Invariants: one event is under way at a time; while it is, nothing is read, so a client that sends
 * faster than workers answer is slowed down by its own socket; a message that came whole is told even
 * if its client has left since; after CONNECTED was answered there is exactly one CLOSE, and it is the
 * last event, unless a worker failed; the lease is given back once. run() never rejects.
 */

import type { Clock, Timer } from "../../lib/core/clock.ts";
import { messageOf } from "../../lib/core/failure.ts";
import type { Gate, Lease } from "../../lib/core/gate.ts";
import {
  type Accepted,
  type Acceptor,
  type ClientAddress,
  remoteOf,
  Wire,
} from "../../lib/http/mod.ts";
import type { TcpServerConfig } from "../../lib/config/roadrunner/tcp.ts";
import { type Answer, type PoolCall, PoolError, type PoolErrorKind } from "../../lib/pool/types.ts";
import type { Emit } from "../../lib/telemetry/events.ts";
import { contextOf, type Origin, shown, type TcpEvent, verbOf } from "./event.ts";
import { Messages } from "./messages.ts";
import type { CutReason, Tally } from "./tally.ts";
import type { Holder, Target } from "./target.ts";

/** For a client to agree on TLS. */
const HANDSHAKE_MS = 10_000;
/** For the workers of a connection that was cut, to answer what is under way and CLOSE. */
const GRACE_MS = 5_000;
/** How long, and how much, a client may go on sending after the last bytes for it. */
const LINGER_MS = 2_000;
const LINGER_BYTES = 1 << 20;
const NOTHING = new Uint8Array(0);
/** Events that the pool itself turned away: it tells how many there were. */
const TOLD_BY_POOL: ReadonlySet<PoolErrorKind> = new Set(["no_worker", "queue_full"]);

/** Where a connection lives. */
export interface Home {
  /** The server's name. */
  readonly name: string;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly gate: Gate<Target>;
  readonly tally: Tally;
  /** What is in force now. */
  settings(): TcpServerConfig;
}

/** What of its acceptor a connection knows. */
export type Around = Pick<Acceptor<TcpConnection>, "sweeper" | "leftovers">;

type Phase = "handshake" | "event" | "reading" | "writing" | "closing" | "over";

/** What comes after an event. */
type Next = "go on" | "close" | "give up";

/** See the file's comment. */
export class TcpConnection implements Accepted, Holder {
  readonly uuid = crypto.randomUUID();
  readonly over: Promise<void>;
  readonly #home: Home;
  readonly #around: Around;
  readonly #tls: boolean;
  readonly #client: ClientAddress;
  readonly #origin: Origin;
  readonly #wire: Wire;
  readonly #messages: Messages;
  readonly #over = Promise.withResolvers<void>();
  /** The socket is closed: a write that was under way may not hear of it. */
  readonly #closed = Promise.withResolvers<void>();
  #phase: Phase = "handshake";
  /** When the phase began, or made progress last. */
  #since = 0;
  /** The client sends no more. */
  #ended = false;
  /** The event at a worker. */
  #call: PoolCall | undefined;
  #grace: Timer | undefined;

  constructor(conn: Deno.Conn, home: Home, around: Around) {
    this.#home = home;
    this.#around = around;
    this.over = this.#over.promise;
    this.#tls = "handshake" in conn;
    this.#client = addressOf(conn.remoteAddr);
    this.#origin = { remote_addr: hostPort(this.#client), server: home.name, uuid: this.uuid };
    this.#wire = new Wire(conn, around.sweeper);
    const { delimiter, read_buf_size } = home.settings();
    this.#messages = new Messages(new TextEncoder().encode(delimiter), read_buf_size);
  }

  async run(): Promise<void> {
    // Between connections the sweeper's time stands still.
    this.#since = this.#around.sweeper.now;
    try {
      if (await this.#shakeHands()) await this.#serve();
    } catch (error) {
      this.#home.emit("internal_error", {
        where: "tcp connection",
        error: messageOf(error),
        stack: error instanceof Error ? error.stack : undefined,
      });
    } finally {
      this.#grace?.cancel();
      this.end();
      this.#over.resolve();
    }
  }

  /** Ends it; workers are told. */
  close(): void {
    this.#end("asked");
  }

  /** Ends it in bounded time; workers are told if they answer until then. */
  cut(): void {
    this.#end("drain");
    this.#grace ??= this.#home.clock.timer(GRACE_MS, () => this.end());
  }

  /** Ends it before it began: there is no place for it. */
  refuse(reason: CutReason): void {
    this.#end(reason);
    this.end();
  }

  end(): void {
    this.#phase = "over";
    this.#shut();
    this.#call?.cancel();
  }

  sweep(now: number): void {
    const { send_timeout, idle_timeout } = this.#home.settings();
    const waited = now - this.#since;
    switch (this.#phase) {
      case "handshake":
        if (waited >= HANDSHAKE_MS) this.#end("handshake");
        return;
      case "reading":
        if (idle_timeout > 0 && waited >= idle_timeout) this.#end("idle");
        return;
      case "writing":
        if (this.#wire.stalled(now, send_timeout)) this.#end("stalled");
        return;
      case "closing":
        if (waited >= LINGER_MS) this.#shut();
        return;
    }
  }

  /** @returns false when the client speaks no TLS that we speak, or left. */
  async #shakeHands(): Promise<boolean> {
    const reason = await this.#wire.handshake();
    if (reason === undefined) return true;
    this.#home.emit("tls_refused", { reason, client: this.#client.address });
    return false;
  }

  async #serve(): Promise<void> {
    const { gate, tally, name } = this.#home;
    const lease = gate.lease();
    if (lease === undefined) return this.#end("no_release");
    tally.connected(name);
    void lease.target.hold(this);
    try {
      lease.onCut = () => this.cut();
      const tellEnd = await this.#converse(lease);
      this.#enter("closing");
      // The client reads its last bytes and sees the end while a worker is told of it.
      await Promise.all([this.#linger(), tellEnd && this.#tell(lease, "CLOSE", NOTHING)]);
    } finally {
      lease.release();
    }
  }

  /** Everything up to CLOSE. @returns whether workers shall be told of that, too */
  async #converse(lease: Lease<Target>): Promise<boolean> {
    let next = await this.#tell(lease, "CONNECTED", NOTHING);
    while (next === "go on") {
      const message = await this.#next();
      if (message === undefined) return this.#phase !== "over";
      next = await this.#tell(lease, "DATA", message);
    }
    return next === "close";
  }

  /** The next message, at the end what is left without a delimiter; undefined: there is none. */
  async #next(): Promise<Uint8Array | undefined> {
    const wire = this.#wire;
    this.#enter("reading");
    while (!wire.closed) {
      const message = this.#messages.next();
      if (message !== undefined) return message;
      if (this.#ended) return undefined;
      const room = this.#messages.room();
      if (room.length === 0) {
        this.#count("too_long");
        return undefined;
      }
      const count = await wire.read(room);
      this.#since = this.#around.sweeper.now;
      if (count > 0) {
        this.#messages.arrived(count);
        continue;
      }
      this.#ended = true;
      const rest = count === 0 && !wire.closed ? this.#messages.rest() : NOTHING;
      return rest.length > 0 ? rest : undefined;
    }
    return undefined;
  }

  async #tell({ target }: Lease<Target>, event: TcpEvent, body: Uint8Array): Promise<Next> {
    if (this.#phase === "over") return "give up";
    if (event !== "CLOSE") this.#enter("event");
    const { tally, name } = this.#home;
    tally.told(name, event);
    const call = this.#call = target.pool.call({
      flags: 0,
      context: contextOf(this.#origin, event),
      body: body.length === 0 ? [] : [body],
      what: this.#nameOf(event),
    });
    let answer: Answer;
    try {
      answer = await call.answer;
    } catch (error) {
      if (!(error instanceof PoolError)) throw error;
      return this.#failed(target, event, error);
    } finally {
      this.#call = undefined;
    }
    if (answer.more) {
      answer.cancel();
      const error = "the worker streamed its answer, which is for http only";
      return this.#failed(target, event, new PoolError("broken", error, answer.pid));
    }
    return event === "CLOSE" ? "close" : await this.#obey(target, event, answer);
  }

  async #obey(target: Target, event: TcpEvent, { context, body, pid }: Answer): Promise<Next> {
    const verb = verbOf(context);
    if (verb === undefined) {
      this.#report(target, event, `it answered ${shown(context)}, which is no verb`, "broken", pid);
    }
    if ((verb === "WRITE" || verb === "WRITECLOSE") && body.length > 0) {
      this.#enter("writing");
      // To a client that is gone nothing is written; the read that follows tells that it is.
      await Promise.race([this.#wire.write(body, 0, body.length), this.#closed.promise]);
    }
    return verb === "CONTINUE" || verb === "WRITE" ? "go on" : "close";
  }

  /** As RoadRunner: closed, nothing written, no CLOSE. */
  #failed(target: Target, event: TcpEvent, { kind, message, pid }: PoolError): Next {
    // What ends because nobody wants it any more is no failure of anybody.
    if (kind === "cancelled") return "give up";
    this.#home.tally.failed(this.#home.name, kind);
    if (!TOLD_BY_POOL.has(kind)) this.#report(target, event, message, kind, pid);
    return "give up";
  }

  #report(
    { pool: { release } }: Target,
    event: TcpEvent,
    error: string,
    kind: PoolErrorKind,
    pid: number | undefined,
  ): void {
    const target = this.#nameOf(event);
    this.#home.emit("request_failed", {
      plugin: "tcp",
      release,
      target,
      error,
      kind,
      status: null,
      pid,
    });
  }

  /** Bytes that came and were not read would take the last answer away from the client. */
  async #linger(): Promise<void> {
    const wire = this.#wire;
    if (!wire.closed && !this.#ended) {
      await wire.closeWrite();
      const scrap = new Uint8Array(4096);
      for (let left = LINGER_BYTES; left > 0 && !wire.closed;) {
        const count = await wire.read(scrap);
        if (count <= 0) break;
        left -= count;
      }
    }
    this.#shut();
  }

  #end(reason: CutReason): void {
    if (this.#wire.closed || this.#phase === "closing") return;
    this.#count(reason);
    this.#shut();
  }

  #count(reason: CutReason): void {
    this.#home.tally.cut(this.#home.name, this.#origin.remote_addr, reason);
  }

  #shut(): void {
    if (this.#wire.closed) return;
    // The runtime holds a socket until its write is taken, and one with TLS until both sides ended.
    const held = this.#wire.writing || (this.#tls && !this.#ended);
    if (held) this.#around.leftovers.add(this.#client);
    this.#wire.close();
    this.#closed.resolve();
  }

  #enter(phase: Phase): void {
    if (this.#phase === "over") return;
    this.#phase = phase;
    this.#since = this.#around.sweeper.now;
  }

  #nameOf(event: TcpEvent): string {
    return `${event} ${this.#origin.server} ${this.#origin.remote_addr}`;
  }
}

function addressOf(address: Deno.Addr): ClientAddress {
  return address.transport === "tcp"
    ? { address: address.hostname, port: address.port }
    : { address: "", port: 0 };
}

function hostPort(client: ClientAddress): string {
  const host = remoteOf(client);
  return `${host.includes(":") ? `[${host}]` : host}:${client.port}`;
}
