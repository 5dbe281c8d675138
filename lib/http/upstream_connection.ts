/**
 * One keep-alive connection to a program: a request out, an answer in, and again.
 *
 * | state  | meaning                            | ends with                                |
 * | ------ | ---------------------------------- | ---------------------------------------- |
 * | idle   | in the pool, a read pending        | taken → busy; peer ends, age → closed    |
 * | busy   | a request is being answered        | answer complete → idle; else → closed    |
 * | tunnel | after a 101: raw bytes             | close                                    |
 * | closed | –                                  | –                                        |
 *
 * Invariants: a read is always pending while idle, so a peer that closes is noticed before the
 * connection is used again; a connection returns to the pool only when request and answer are
 * complete and not one byte follows the answer; one whose program ended (`orphan`) is closed unless
 * its answer has begun, and never pooled: whoever took the program's port may hold its other end.
 */

import { FramedBody, type Source } from "./framed_body.ts";
import { COMPLETE, MORE } from "./fields.ts";
import { Kind } from "./fields.ts";
import { ResponseHead } from "./response_head.ts";
import { CHUNKED, UNTIL_CLOSE } from "./framed_body.ts";
import type { Sweeper, Watched } from "./sweeper.ts";
import { Wire } from "./wire.ts";
import { WINDOW_ROOM } from "./exchange.ts";

/** Room before a received head, so that the head sent on can be longer and still stand before the body. */
const HEADROOM = 256;
const DATA = 65_536;

/** Programs that do not say how long they keep connections: less than Node's five seconds. */
const IDLE_MS = 4000;
const LONGEST_IDLE_MS = 60_000;
/** We let go this much before the program said it would. */
const IDLE_MARGIN_MS = 1000;
/** What a program sent with its last breath may still be on its way through this machine. */
const ORPHAN_MS = 250;

/** Milliseconds; 0: none. */
export interface UpstreamTimeouts {
  response: number;
  send: number;
}

/** Why no answer head came. */
export type NoAnswer = "closed" | "timeout" | "garbage";

const NOTHING = new Uint8Array(0);
const NO_TIMEOUTS: UpstreamTimeouts = { response: 0, send: 0 };

export class UpstreamConnection implements Watched, Source {
  readonly wire: Wire;
  readonly head = new ResponseHead();
  readonly body: FramedBody;
  /** Requests sent on it before this one. */
  used = 0;
  /** Bytes of the current answer arrived. */
  answered = false;
  timeouts: UpstreamTimeouts = NO_TIMEOUTS;
  /** Called once when an idle connection is of no more use. */
  onSpoiled: (() => void) | undefined;
  /** Clock milliseconds when it went idle. */
  idleSince = 0;
  /** Why `readHead` gave no head, for people. */
  reason = "";
  /** Room to build a request in. */
  out: Uint8Array = NOTHING;

  bytes: Uint8Array = new Uint8Array(HEADROOM + DATA + WINDOW_ROOM);
  /** All of `bytes` that may be read into; most reads are into this. */
  #view = this.bytes.subarray(HEADROOM, HEADROOM + DATA);
  from = HEADROOM;
  to = HEADROOM;

  readonly #sweeper: Sweeper<UpstreamConnection>;
  #idle = false;
  #idleLimit = IDLE_MS;
  /** Since when an answer is due; -1: none is. */
  #awaiting = -1;
  #timedOut = false;
  /** Since when its program is known to have ended; -1: it lives. */
  #orphanedSince = -1;
  #pending: Promise<number> | undefined;
  #grown = false;
  #method = "";
  #limits = { header_bytes: 0, headers: 0 };

  constructor(conn: Deno.Conn, sweeper: Sweeper<UpstreamConnection>) {
    this.#sweeper = sweeper;
    this.wire = new Wire(conn, sweeper);
    this.body = new FramedBody(this);
    sweeper.add(this);
  }

  get closed(): boolean {
    return this.wire.closed;
  }

  /** Begins a request. */
  begin(timeouts: UpstreamTimeouts): void {
    this.#idle = false;
    this.answered = false;
    this.timeouts = timeouts;
    this.#awaiting = -1;
  }

  /** The request is out: from now on an answer is due. */
  sent(): void {
    this.#awaiting = this.#sweeper.now;
  }

  /**
   * Reads the next answer head (interim or final) and sets up the body.
   * @param method of the request: HEAD has no body
   */
  readHead(
    method: string,
    limits: { header_bytes: number; headers: number },
  ): Promise<ResponseHead | NoAnswer> {
    this.#method = method;
    this.#limits = limits;
    this.head.reset(this.bytes, this.from, limits.header_bytes, limits.headers);
    if (this.from === this.to) return this.#moreHead().then(this.#onHeadBytes);
    return Promise.resolve(this.#feedHead());
  }

  readonly #onHeadBytes = (
    count: number,
  ): ResponseHead | NoAnswer | Promise<ResponseHead | NoAnswer> => {
    if (count > 0) return this.#feedHead();
    this.reason = this.#timedOut
      ? "no answer in time"
      : this.orphaned
      ? "the program ended before it answered"
      : "the connection was closed";
    return this.#timedOut ? "timeout" : "closed";
  };

  #feedHead(): ResponseHead | NoAnswer | Promise<ResponseHead | NoAnswer> {
    const { head } = this;
    const status = head.feed(this.to);
    if (status === MORE) return this.#moreHead().then(this.#onHeadBytes);
    if (status !== COMPLETE) {
      this.reason = head.reason;
      return "garbage";
    }
    this.from = head.at + head.size;
    this.#awaiting = head.status < 200 && head.status !== 101 ? this.#sweeper.now : -1;
    const { header_bytes, headers } = this.#limits;
    this.body.reset(framingOf(head, this.#method), 0, header_bytes, headers);
    return head;
  }

  /** The answer was taken whole and the request sent whole. @returns false when it was closed. */
  finish(): boolean {
    const whole = this.head.persistent && this.body.ended && this.from === this.to;
    if (this.closed || this.orphaned || !whole) {
      this.close();
      return false;
    }
    this.used++;
    this.#idleLimit = idleLimit(this.head);
    this.#idle = true;
    this.idleSince = this.#sweeper.now;
    this.#awaiting = -1;
    this.from = this.to = HEADROOM;
    if (this.#grown) {
      this.#grown = false;
      this.#setBuffer(new Uint8Array(HEADROOM + DATA + WINDOW_ROOM));
    }
    this.#read();
    return true;
  }

  /** Bytes for a tunnel: what was read already, then the socket. */
  async read(into: Uint8Array): Promise<number> {
    if (this.from === this.to) {
      // A tunnel may be silent for days and brings its own buffer.
      this.bytes = this.#view = NOTHING;
      this.from = this.to = 0;
      return await this.wire.read(into);
    }
    const count = Math.min(into.length, this.to - this.from);
    into.set(this.bytes.subarray(this.from, this.from + count));
    this.from += count;
    return count;
  }

  /** Its program has ended: nobody we know will begin an answer on it. */
  get orphaned(): boolean {
    return this.#orphanedSince >= 0;
  }

  /** Takes note that its program has ended; `now`: the clock's milliseconds. */
  orphan(now: number): void {
    if (this.#idle) return this.#spoil();
    if (!this.orphaned) this.#orphanedSince = now;
  }

  close(): void {
    this.#sweeper.delete(this);
    this.#idle = false;
    this.wire.close();
  }

  sweep(now: number): void {
    if (this.#idle) {
      if (now - this.idleSince >= this.#idleLimit) this.#spoil();
      return;
    }
    if (this.wire.stalled(now, this.timeouts.send)) return this.close();
    if (this.orphaned && !this.answered && now - this.#orphanedSince >= ORPHAN_MS) {
      return this.close();
    }
    const { response } = this.timeouts;
    if (response > 0 && this.#awaiting >= 0 && now - this.#awaiting >= response) {
      this.#timedOut = true;
      this.close();
    }
  }

  // --- Source ------------------------------------------------------------------------------------

  more(): Promise<number> {
    this.from = this.to = HEADROOM;
    return this.#read();
  }

  bodyEnded(): void {}

  #moreHead(): Promise<number> {
    if (this.#pending === undefined && this.bytes.length - WINDOW_ROOM === this.to) this.#grow();
    return this.#read();
  }

  #read(): Promise<number> {
    if (this.#pending !== undefined) return this.#pending;
    const view = this.to === HEADROOM
      ? this.#view
      : this.bytes.subarray(this.to, this.bytes.length - WINDOW_ROOM);
    return this.#pending = this.wire.readInto(view, this.#arrived, this.#failed);
  }

  readonly #arrived = (count: number | null): number => {
    this.#pending = undefined;
    if (count === null) count = 0;
    else this.answered = true;
    this.to += count;
    // Anything that happens to an idle connection makes it useless: an end, or unasked bytes.
    if (this.#idle) this.#spoil();
    return count;
  };

  readonly #failed = (): number => {
    this.#pending = undefined;
    if (this.#idle) this.#spoil();
    return -1;
  };

  #spoil(): void {
    this.close();
    const tell = this.onSpoiled;
    this.onSpoiled = undefined;
    tell?.();
  }

  #setBuffer(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.#view = bytes.subarray(HEADROOM, bytes.length - WINDOW_ROOM);
  }

  #grow(): void {
    const { from, to } = this;
    const target = from > HEADROOM ? this.bytes : new Uint8Array(this.bytes.length * 2);
    target.set(this.bytes.subarray(from, to), HEADROOM);
    this.#grown ||= target !== this.bytes;
    this.#setBuffer(target);
    this.from = HEADROOM;
    this.to = HEADROOM + to - from;
    this.head.moved(target, HEADROOM);
  }
}

/** How the body after a head is framed (RFC 9112, 6.3). */
function framingOf(head: ResponseHead, method: string): number {
  const { status } = head;
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") return 0;
  if (head.chunked) return CHUNKED;
  return head.contentLength >= 0 ? head.contentLength : UNTIL_CLOSE;
}

/** How long a connection may lie idle: less than the program says in `Keep-Alive: timeout=N`. */
function idleLimit(head: ResponseHead): number {
  for (let i = 0; i < head.count; i++) {
    if (head.kind(i) !== Kind.keepAlive) continue;
    const match = /timeout\s*=\s*(\d{1,6})/i.exec(head.value(i));
    if (match === null) continue;
    const said = Number(match[1]) * 1000;
    return Math.min(LONGEST_IDLE_MS, Math.max(said - IDLE_MARGIN_MS, said / 2));
  }
  return IDLE_MS;
}
