/**
 * Middleware `http_metrics`: how many requests, how they ended, how long they took.
 *
 * Invariant: every exchange counts once, under the status it was answered with; one that was answered
 * by nobody because its client left counts as 499.
 */

import {
  type Body,
  BodyBroken,
  type ByteTunnel,
  type ResponseHead,
} from "../../../lib/http/mod.ts";
import type { Middleware, MiddlewareHost } from "./contract.ts";
import { WrappedExchange } from "./wrapped.ts";

/** The client left before there was an answer. */
const LEFT = 499;

/** Makes the middleware. */
export function httpMetrics({ metrics, clock }: Omit<MiddlewareHost, "emit">): Middleware {
  const labels = ["status"];
  const total = metrics.counter({
    name: "rr_http_request_total",
    help: "Requests answered, by status.",
    labels,
  });
  const duration = metrics.histogram({
    name: "rr_http_request_duration_seconds",
    help: "Time from the head of a request to the end of its answer.",
    labels,
  });
  return (next) => async (exchange) => {
    const since = clock.now();
    const counted = new CountedExchange(exchange);
    let status: number | undefined;
    try {
      await next(counted);
      status = counted.status;
    } catch (error) {
      // The front answers what a handler throws.
      status = counted.status ?? (error instanceof BodyBroken ? error.status : 500);
      throw error;
    } finally {
      const label = String(status ?? (exchange.gone ? LEFT : 500));
      total.add(1, label);
      duration.observe((clock.now() - since) / 1000, label);
    }
  };
}

class CountedExchange extends WrappedExchange {
  /** What it was answered with. */
  status: number | undefined;

  override respond(head: ResponseHead, body: Body, close?: boolean): Promise<void> {
    this.status = head.status;
    return this.inner.respond(head, body, close);
  }

  override upgrade(head: ResponseHead): Promise<ByteTunnel | undefined> {
    this.status = head.status;
    return this.inner.upgrade(head);
  }
}
