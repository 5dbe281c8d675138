/**
 * The access log (`http.access_logs`): one event for each request that was answered, or whose client
 * left.
 *
 * Invariant: when it is off nothing of this is there; a line is written when the handler is done, so it
 * has the status and the bytes that went out.
 */

import type { Clock } from "../../lib/core/clock.ts";
import { type Body, type Handler, remoteOf, type ResponseHead } from "../../lib/http/mod.ts";
import type { Emit } from "../../lib/telemetry/events.ts";
import { WrappedExchange } from "./middleware/wrapped.ts";

/** What the log needs of the outside. */
export interface AccessLogHost {
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Logs what `next` answers. */
export function accessLog(next: Handler, { clock, emit }: AccessLogHost): Handler {
  return async (exchange) => {
    const began = clock.now();
    const logged = new LoggedExchange(exchange);
    try {
      await next(logged);
    } finally {
      const { method, target, head } = exchange;
      emit("http_request", {
        method,
        target,
        status: logged.status,
        client: remoteOf(logged.client),
        ms: Math.round((clock.now() - began) * 10) / 10,
        bytes: logged.sent,
        user_agent: head.get("user-agent"),
        referer: head.get("referer"),
      });
    }
  };
}

/** Remembers how it was answered. */
class LoggedExchange extends WrappedExchange {
  /** 0: not at all. */
  status = 0;
  #body: CountedBody | undefined;

  get sent(): number {
    return this.#body?.count ?? 0;
  }

  override respond(head: ResponseHead, body: Body, close?: boolean): Promise<void> {
    this.status = head.status;
    this.#body = new CountedBody(body);
    return this.inner.respond(head, this.#body, close);
  }
}

/** Counts the bytes that were taken. */
class CountedBody implements Body {
  count = 0;
  readonly #inner: Body;

  constructor(inner: Body) {
    this.#inner = inner;
  }

  get length(): number {
    return this.#inner.length;
  }
  get bytes(): Uint8Array {
    return this.#inner.bytes;
  }
  get start(): number {
    return this.#inner.start;
  }
  get end(): number {
    return this.#inner.end;
  }
  get done(): boolean {
    return this.#inner.done;
  }
  get trailers(): Body["trailers"] {
    return this.#inner.trailers;
  }

  pull(): boolean | Promise<boolean> {
    const pulled = this.#inner.pull();
    return typeof pulled === "boolean" ? this.#counted(pulled) : this.#wait(pulled);
  }

  async #wait(pulled: Promise<boolean>): Promise<boolean> {
    return this.#counted(await pulled);
  }

  #counted(more: boolean): boolean {
    if (more) this.count += this.#inner.end - this.#inner.start;
    return more;
  }
}
