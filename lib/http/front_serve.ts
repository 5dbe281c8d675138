/**
 * The serve front: the exchange contract on Deno.serve, for HTTP/2 and for places where its
 * convenience is worth more than an edge needs.
 *
 * What it cannot do, because Deno.serve does not let anybody: timeouts and head limits, interim
 * answers, trailers, letter case and order of header names, byte tunnels (upgrades are answered as
 * plain requests), cutting a connection that has sent half a head, counting connections.
 *
 * Invariant: a handler sees the same exchange as on the raw front, with `upgradable` false.
 */

import { within } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import { BytesBody, ownAnswer } from "./answer.ts";
import { latin1 } from "./bytes.ts";
import {
  type Body,
  BodyBroken,
  type ByteTunnel,
  type ClientAddress,
  type Exchange,
  type Handler,
  WINDOW_ROOM,
} from "./exchange.ts";
import { COMPLETE, type Fields, Kind } from "./fields.ts";
import type { Front, FrontHost, FrontOptions, Place } from "./front.ts";
import { RequestHead } from "./head.ts";
import { type ResponseHead } from "./response_head.ts";

/** Deno.shutdown() can hang on half-sent heads; after a drain nobody waits longer for it. */
const SHUTDOWN_MS = 5000;

/** Fields that Deno.serve sets itself, or that mean nothing behind it. */
const OWN = new Set<number>([
  Kind.connection,
  Kind.keepAlive,
  Kind.hop,
  Kind.transferEncoding,
  Kind.te,
  Kind.upgrade,
]);

export class ServeFront implements Front {
  readonly address: { hostname: string; port: number };
  readonly closed: Promise<void>;
  served = 0;

  readonly #handler: Handler;
  readonly #host: FrontHost;
  readonly #server: Deno.HttpServer;
  readonly #abort = new AbortController();
  readonly #active = new Set<ServeExchange>();
  readonly #close = Promise.withResolvers<void>();
  #options: FrontOptions;
  #stopping: Promise<void> | undefined;

  constructor(place: Place, handler: Handler, options: FrontOptions, host: FrontHost) {
    this.#handler = handler;
    this.#options = options;
    this.#host = host;
    this.closed = this.#close.promise;
    let at = place as { hostname: string; port: number };
    if ("accept" in place) {
      const { addr } = place;
      at = { hostname: (addr as Deno.NetAddr).hostname, port: (addr as Deno.NetAddr).port };
      place.close();
    }
    this.#server = Deno.serve({
      hostname: at.hostname,
      port: at.port,
      signal: this.#abort.signal,
      onListen() {},
      onError: (error) => this.#onError(error),
    }, (request, info) => this.#serve(request, info.remoteAddr));
    const bound = this.#server.addr as Deno.NetAddr;
    this.address = { hostname: bound.hostname, port: bound.port };
    this.#server.finished.then(() => this.#close.resolve());
  }

  /** Deno.serve does not tell; every request being answered counts as one. */
  get connections(): number {
    return this.#active.size;
  }
  get requests(): number {
    return this.#active.size;
  }

  configure(options: FrontOptions): void {
    this.#options = options;
  }

  async drain(ms: number): Promise<{ cut: number }> {
    const { clock } = this.#host;
    const stopping = this.#stop();
    if ((await within(clock, ms, stopping)).done) return { cut: 0 };
    const cut = this.#active.size;
    for (const exchange of this.#active) exchange.cut();
    await within(clock, SHUTDOWN_MS, stopping);
    this.#close.resolve();
    return { cut };
  }

  cut(): void {
    for (const exchange of this.#active) exchange.cut();
    // Aborting after shutdown() began throws where nobody can catch it.
    if (this.#stopping === undefined) {
      this.#stopping = this.#server.finished;
      this.#abort.abort();
    }
  }

  #stop(): Promise<void> {
    return this.#stopping ??= this.#server.shutdown();
  }

  async #serve(request: Request, remote: Deno.Addr): Promise<Response> {
    this.served++;
    const { limits } = this.#options;
    const head = headOf(request);
    const client = remote.transport === "tcp"
      ? { address: remote.hostname, port: remote.port }
      : { address: "", port: 0 };
    if (head.reason !== "") {
      this.#host.emit("proxy_refused", {
        status: 400,
        reason: head.reason,
        client: client.address,
      });
      return ownResponse(400, head.reason);
    }
    if (limits.body > 0 && head.contentLength > limits.body) {
      return ownResponse(413, `the body is larger than ${limits.body} bytes`);
    }
    const exchange = new ServeExchange(request, head, client, limits.body);
    this.#active.add(exchange);
    this.#work(exchange);
    return await exchange.response;
  }

  async #work(exchange: ServeExchange): Promise<void> {
    try {
      await this.#handler(exchange);
      if (!exchange.answered && !exchange.gone) throw new Error("it returned without an answer");
    } catch (error) {
      const broken = error instanceof BodyBroken ? error : undefined;
      if (broken === undefined) this.#onError(error);
      if (exchange.answered) exchange.cut();
      else exchange.apologise(broken?.status ?? 500, broken?.message ?? "the request failed");
    } finally {
      exchange.finish();
      this.#active.delete(exchange);
    }
  }

  #onError(error: unknown): Response {
    this.#host.emit("internal_error", {
      where: "http serve",
      error: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
    return ownResponse(500, "the request failed");
  }
}

class ServeExchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly tls: boolean;
  readonly body: Body;
  readonly upgradable = false;
  answered = false;
  gone = false;
  onGone: (() => void) | undefined = undefined;

  readonly #response = Promise.withResolvers<Response>();
  readonly #signal: AbortSignal;
  #stream: ReadableByteStreamController | undefined;
  #finished = false;

  constructor(
    request: Request,
    readonly head: RequestHead,
    readonly client: ClientAddress,
    limit: number,
  ) {
    this.method = request.method;
    this.target = head.target;
    this.tls = request.url.startsWith("https:");
    this.body = request.body === null
      ? new BytesBody(new Uint8Array(0))
      : new StreamBody(request.body, head.contentLength, limit);
    this.#signal = request.signal;
    this.#signal.addEventListener("abort", this.#leave);
  }

  get response(): Promise<Response> {
    return this.#response.promise;
  }

  interim(): Promise<void> {
    return Promise.resolve();
  }

  upgrade(): Promise<ByteTunnel | undefined> {
    return Promise.reject(new Error("Deno.serve cannot hand a connection over"));
  }

  async respond(head: ResponseHead, body: Body): Promise<void> {
    if (this.answered) throw new Error("the exchange was answered twice");
    this.answered = true;
    if (this.gone) return;
    const headers = headersOf(head, body);
    const bodiless = this.method === "HEAD" || head.status === 204 || head.status === 304 ||
      head.status === 205 || body.length === 0;
    if (bodiless) {
      this.#response.resolve(new Response(null, { status: head.status, headers }));
      return;
    }
    const sent = Promise.withResolvers<void>();
    const stream = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#stream = controller;
      },
      pull: async (controller) => {
        try {
          if (await body.pull()) {
            controller.enqueue(body.bytes.slice(body.start, body.end));
            return;
          }
          controller.close();
          sent.resolve();
        } catch (error) {
          controller.error(error);
          sent.reject(error);
        }
      },
      cancel: () => {
        this.#leave();
        sent.resolve();
      },
    });
    this.#response.resolve(new Response(stream, { status: head.status, headers }));
    this.#sent = sent;
    await sent.promise;
  }

  #sent: PromiseWithResolvers<void> | undefined;

  cut(): void {
    this.gone = true;
    if (!this.answered) return this.apologise(503, "the server is stopping");
    try {
      this.#stream?.error(new Error("cut"));
    } catch {
      // The stream had ended already: nothing is left to cut.
    }
    this.#sent?.resolve();
  }

  /** An own answer where the handler has none. */
  apologise(status: number, message: string): void {
    if (this.answered) return;
    this.answered = true;
    this.#response.resolve(ownResponse(status, message));
  }

  /** The handler is done: what the signal says from now on means nothing. */
  finish(): void {
    this.#finished = true;
    this.#signal.removeEventListener("abort", this.#leave);
    if (!this.answered) this.apologise(503, "the client left");
  }

  readonly #leave = (): void => {
    if (this.gone || this.#finished) return;
    this.gone = true;
    this.#sent?.resolve();
    const tell = this.onGone;
    this.onGone = undefined;
    tell?.();
  };
}

/** A request stream as a pulled body; windows are copies with room around them. */
class StreamBody implements Body {
  readonly length: number;
  readonly trailers: Fields | undefined = undefined;
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  done = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #limit: number;
  #taken = 0;

  constructor(stream: ReadableStream<Uint8Array>, length: number, limit: number) {
    this.length = length;
    this.#reader = stream.getReader();
    this.#limit = limit;
  }

  async pull(): Promise<boolean> {
    this.start = this.end = 0;
    if (this.done) return false;
    let chunk: ReadableStreamReadResult<Uint8Array>;
    try {
      do chunk = await this.#reader.read(); while (chunk.value?.length === 0);
    } catch {
      throw new BodyBroken("the connection ended inside a body");
    }
    if (chunk.done) {
      this.done = true;
      if (this.length >= 0 && this.#taken < this.length) {
        throw new BodyBroken("the connection ended inside a body");
      }
      return false;
    }
    const size = chunk.value.length;
    this.#taken += size;
    if (this.#limit > 0 && this.#taken > this.#limit) {
      throw new BodyBroken(`the body is larger than ${this.#limit} bytes`, 413);
    }
    this.bytes = new Uint8Array(size + 2 * WINDOW_ROOM);
    this.bytes.set(chunk.value, WINDOW_ROOM);
    this.start = WINDOW_ROOM;
    this.end = WINDOW_ROOM + size;
    if (this.length >= 0) this.done = this.#taken >= this.length;
    return true;
  }
}

/** The head of a request as Deno.serve tells it; `reason` is set when it is not acceptable. */
function headOf(request: Request): RequestHead {
  const { url, headers } = request;
  const path = url.indexOf("/", url.indexOf("://") + 3);
  let source = `${request.method} ${path < 0 ? "/" : url.slice(path)} HTTP/1.1\r\n`;
  // HTTP/2 has no Host field.
  if (!headers.has("host")) source += `host: ${url.slice(url.indexOf("://") + 3, path)}\r\n`;
  for (const [name, value] of headers) {
    if (name === "transfer-encoding" || name === "expect") continue;
    source += `${name}: ${value}\r\n`;
  }
  if (request.body !== null && !headers.has("content-length")) {
    source += "transfer-encoding: chunked\r\n";
  }
  const bytes = latin1(source + "\r\n");
  const head = new RequestHead();
  head.reset(bytes, 0, 0, 0);
  if (head.feed(bytes.length) !== COMPLETE) head.reason ||= "not an acceptable request";
  return head;
}

function headersOf(head: ResponseHead, body: Body): Headers {
  const headers = new Headers();
  const nominated = head.nominates ? head.nominated() : undefined;
  for (let i = 0; i < head.count; i++) {
    const name = head.name(i);
    if (OWN.has(head.kind(i)) || nominated?.has(name.toLowerCase())) continue;
    headers.append(name, head.value(i));
  }
  if (body.length > 0 && !headers.has("content-length")) {
    headers.set("content-length", String(body.length));
  }
  // Deno.serve compresses what does not forbid it; a proxy passes bytes on as they are.
  if (!headers.has("content-encoding")) headers.append("cache-control", "no-transform");
  return headers;
}

function ownResponse(status: number, message: string): Response {
  const { head, body } = ownAnswer(undefined, status, message);
  body.pull();
  return new Response(body.bytes.slice(), { status, headers: headersOf(head, body) });
}
