/**
 * One exchange on the raw front: the answer is framed here.
 *
 * Invariant: an answer goes out with exactly one framing: a true Content-Length, chunks (HTTP/1.1
 * clients), the end of the connection (HTTP/1.0 clients), or none where the method or status allows
 * no body. When the body breaks in the middle the connection is cut, never ended cleanly.
 */

import { chunkSizeLength, putChunkEnd, putChunkSize } from "./chunked.ts";
import { copy } from "./bytes.ts";
import type { Body, ByteTunnel, ClientAddress, Exchange } from "./exchange.ts";
import { WINDOW_ROOM } from "./exchange.ts";
import type { RequestHead } from "./head.ts";
import type { ResponseHead } from "./response_head.ts";
import { type AnswerFraming, putResponseHead, RESPONSE_EXTRA, trailerSection } from "./put_head.ts";
import type { RawConnection } from "./raw_connection.ts";

/** Heads are built here and moved before anything is awaited; one for all connections. */
let scratch = new Uint8Array(16_384);

export class RawExchange implements Exchange {
  answered = false;
  gone = false;
  onGone: (() => void) | undefined = undefined;
  readonly #connection: RawConnection;
  /** An interim answer on its way: the final one waits for it. */
  #interim: Promise<boolean> | undefined = undefined;

  constructor(connection: RawConnection) {
    this.#connection = connection;
  }

  get head(): RequestHead {
    return this.#connection.head;
  }
  get method(): string {
    return this.#connection.head.method;
  }
  get target(): string {
    return this.#connection.head.target;
  }
  get client(): ClientAddress {
    return this.#connection.client;
  }
  get tls(): boolean {
    return this.#connection.tls;
  }
  get body(): Body {
    return this.#connection.body;
  }
  /** An upgrade with a body has no place where the tunnel would clearly begin. */
  get upgradable(): boolean {
    const { head, body } = this.#connection;
    return head.minor === 1 && body.length === 0;
  }

  /** The client left: told once. */
  leave(): void {
    if (this.gone) return;
    this.gone = true;
    const tell = this.onGone;
    this.onGone = undefined;
    tell?.();
  }

  cut(): void {
    this.#connection.end();
  }

  async interim(head: ResponseHead): Promise<void> {
    if (this.answered || this.gone || this.head.minor === 0) return;
    const framing: AnswerFraming = { length: undefined, dropLength: true, connection: "" };
    this.#interim = this.#writeHead(head, framing);
    await this.#interim;
    this.#interim = undefined;
  }

  async upgrade(head: ResponseHead): Promise<ByteTunnel | undefined> {
    this.#claim();
    const connection = this.#connection;
    connection.keep = false;
    if (this.gone) return undefined;
    const tunnel = connection.tunnel();
    const framing: AnswerFraming = { length: undefined, dropLength: true, connection: "upgrade" };
    return await this.#writeHead(head, framing) ? tunnel : undefined;
  }

  async respond(head: ResponseHead, body: Body, close = false): Promise<void> {
    this.#claim();
    if (this.#interim !== undefined) await this.#interim;
    if (this.gone) return;
    const connection = this.#connection;
    const { minor, method } = this.head;
    const bodiless = method === "HEAD" || head.status === 204 || head.status === 304;
    const chunked = !bodiless && body.length < 0 && minor === 1;
    if (close || connection.shared.drainingSince !== undefined) connection.keep = false;
    if (!bodiless && body.length < 0 && !chunked) connection.keep = false;
    // A client whose upload is refused had better stop sending it.
    if (!connection.body.here && head.status >= 400) connection.keep = false;
    const framing = this.#framing(head, body, bodiless, chunked);
    if (bodiless || body.length === 0) {
      if (!await this.#writeHead(head, framing)) connection.end();
      return;
    }
    try {
      const pulled = body.pull();
      if (pulled !== true) {
        if (!await this.#writeHead(head, framing)) return connection.end();
      } else {
        if (!await this.#writeFirst(head, framing, body, chunked)) return connection.end();
        // Most answers are one window: there is nothing to go on with.
        if (body.done && body.trailers === undefined) return void body.pull();
      }
      await this.#sendRest(body, chunked, pulled);
    } catch (error) {
      // The handler is told by the throw; it is not the client who left.
      this.onGone = undefined;
      connection.end();
      throw error;
    }
  }

  /** Windows from the second on; or, with a `pulled` that waits, from the first on. */
  async #sendRest(
    body: Body,
    chunked: boolean,
    pulled: boolean | Promise<boolean>,
  ): Promise<void> {
    const { wire } = this.#connection;
    let terminated = false;
    let next = pulled === true ? body.pull() : pulled;
    while (typeof next === "boolean" ? next : await next) {
      let { start, end } = body;
      if (chunked) {
        terminated = body.done && body.trailers === undefined;
        const size = end - start;
        end = putChunkEnd(body.bytes, end, terminated);
        start = putChunkSize(body.bytes, start, size);
      }
      if (!await wire.write(body.bytes, start, end)) return this.#connection.end();
      next = body.pull();
    }
    if (!chunked || terminated) return;
    const last = body.trailers === undefined ? LAST_CHUNK : trailerSection(body.trailers);
    if (!await wire.write(last, 0, last.length)) this.#connection.end();
  }

  #claim(): void {
    if (this.answered) throw new Error("the exchange was answered twice");
    this.answered = true;
  }

  #framing(head: ResponseHead, body: Body, bodiless: boolean, chunked: boolean): AnswerFraming {
    const { keep } = this.#connection;
    const connection = !keep ? "close" : this.head.minor === 0 ? "keep-alive" : "";
    // Of HEAD and 304 the length says what another answer would have; 204 has none (RFC 9110, 8.6).
    if (bodiless) {
      const own = head.status !== 204 && head.contentLength < 0 && body.length > 0;
      return { length: own ? body.length : undefined, dropLength: head.status === 204, connection };
    }
    if (chunked) return { length: -1, dropLength: true, connection };
    if (body.length >= 0 && body.length !== head.contentLength) {
      return { length: body.length, dropLength: true, connection };
    }
    return { length: undefined, dropLength: body.length < 0, connection };
  }

  /** Head and first window in one write where that costs less than two. */
  #writeFirst(
    head: ResponseHead,
    framing: AnswerFraming,
    body: Body,
    chunked: boolean,
  ): Promise<boolean> {
    const { wire } = this.#connection;
    const size = buildHead(head, framing);
    let { bytes, start, end } = body;
    const data = end - start;
    const last = body.done && body.trailers === undefined;
    const prefix = chunked ? chunkSizeLength(data) : 0;
    if (bytes !== head.bytes || start - prefix < size) {
      // The window lies elsewhere, or the new head is too long to stand before it.
      bytes = new Uint8Array(size + prefix + data + WINDOW_ROOM);
      start = size + prefix;
      bytes.set(body.bytes.subarray(body.start, end), start);
      end = start + data;
    }
    if (chunked) {
      end = putChunkEnd(bytes, end, last);
      start = putChunkSize(bytes, start, data);
    }
    copy(bytes, start - size, scratch, 0, size);
    return wire.write(bytes, start - size, end);
  }

  #writeHead(head: ResponseHead, framing: AnswerFraming): Promise<boolean> {
    const size = buildHead(head, framing);
    return this.#connection.wire.write(scratch.slice(0, size), 0, size);
  }
}

const LAST_CHUNK = new TextEncoder().encode("0\r\n\r\n");

/** Builds a head in the scratch buffer. @returns its size. */
function buildHead(head: ResponseHead, framing: AnswerFraming): number {
  const most = head.size + RESPONSE_EXTRA;
  if (most > scratch.length) scratch = new Uint8Array(most * 2);
  return putResponseHead(scratch, 0, head, framing);
}
