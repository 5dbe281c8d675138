/**
 * Middleware `headers`: fixed fields of requests and answers, and cross-origin rules.
 *
 * Invariants: a fixed field takes the place of whatever the client or the worker says under that name;
 * a preflight never reaches a worker.
 */

import type { HeadersConfig } from "../../../lib/config/roadrunner/http.ts";
import {
  type Body,
  type Exchange,
  noBody,
  type RequestHead,
  ResponseHead,
} from "../../../lib/http/mod.ts";
import { Cors } from "./cors.ts";
import { type Pairs, pairsOf, requestWith, withFields } from "./edit_head.ts";
import type { Middleware, MiddlewareHost } from "./contract.ts";
import { WrappedExchange } from "./wrapped.ts";

/** Makes the middleware. */
export function headers(config: HeadersConfig, host: Pick<MiddlewareHost, "emit">): Middleware {
  const request = pairsOf(config.request);
  const response = pairsOf(config.response);
  const cors = config.cors === undefined ? undefined : new Cors(config.cors, host.emit);
  return (next) => (exchange) => {
    if (cors !== undefined && isPreflight(exchange)) {
      const head = ResponseHead.of(cors.status, cors.preflight(exchange));
      return exchange.respond(withFields(head, response), noBody());
    }
    return next(new HeadersExchange(exchange, request, response, cors));
  };
}

function isPreflight({ method, head }: Exchange): boolean {
  return method === "OPTIONS" && head.get("access-control-request-method") !== undefined;
}

class HeadersExchange extends WrappedExchange {
  readonly #head: RequestHead;
  readonly #response: Pairs;
  readonly #cors: Cors | undefined;

  constructor(inner: Exchange, request: Pairs, response: Pairs, cors: Cors | undefined) {
    super(inner);
    this.#head = request.length === 0 ? inner.head : requestWith(inner.head, request);
    this.#response = response;
    this.#cors = cors;
  }

  override get head(): RequestHead {
    return this.#head;
  }

  override respond(head: ResponseHead, body: Body, close?: boolean): Promise<void> {
    const cors = this.#cors?.actual(this.inner, head) ?? [];
    const fields = [...cors, ...this.#response];
    return this.inner.respond(fields.length === 0 ? head : withFields(head, fields), body, close);
  }
}
