/**
 * A raw front with middleware in front of a handler, and real clients.
 *
 * Invariant: disposing it proves that nothing is left and that nothing broke inside.
 */

import { assertEquals } from "@std/assert";
import type { HttpConfig } from "../../../../../lib/config/roadrunner/http.ts";
import {
  type Body,
  BytesBody,
  type Front,
  type Handler,
  openFront,
  ResponseHead,
} from "../../../../../lib/http/mod.ts";
import { realClock } from "../../../../../lib/os/clock.ts";
import type { Emit } from "../../../../../lib/telemetry/events.ts";
import { type Metrics, noMetrics } from "../../../../../lib/telemetry/metrics.ts";
import { middleware } from "../../../../../plugins/http/middleware/mod.ts";
import { WrappedExchange } from "../../../../../plugins/http/middleware/wrapped.ts";
import { RawPeer } from "../../../../kit/raw_http.ts";

/** Everything middleware reads of a configuration, with nothing in it. */
export function configOf(more: Partial<HttpConfig>): HttpConfig {
  return {
    middleware: [],
    trusted_subnets: [],
    trusted_headers: ["Forwarded", "X-Forwarded-For", "X-Real-IP"],
    headers: { request: {}, response: {} },
    ...more,
  } as HttpConfig;
}

/** An answer for a handler to give. */
export function answering(
  body: string | Uint8Array | Body,
  fields: [string, string][] = [["Content-Type", "text/plain"]],
  status = 200,
): Handler {
  return (exchange) => {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const source = bytes instanceof Uint8Array ? new BytesBody(bytes) : bytes;
    return exchange.respond(ResponseHead.of(status, fields), source);
  };
}

/** Says what it sees of a request. */
export const mirror: Handler = (exchange) => {
  const lines = exchange.head.entries().map(([name, value]) => `${name}: ${value}`);
  const seen = [`${exchange.method} ${exchange.target}`, exchange.client.address, ...lines];
  return answering(seen.join("\n"))(exchange);
};

class OverTls extends WrappedExchange {
  override get tls(): boolean {
    return true;
  }
}

/** See the file's comment. */
export class Site implements AsyncDisposable {
  readonly front: Front;
  readonly told: { event: string; data: unknown }[] = [];

  /** `tls`: the exchanges say that they came over TLS. */
  constructor(
    config: Partial<HttpConfig>,
    handler: Handler,
    metrics: Metrics = noMetrics,
    tls = false,
  ) {
    const emit: Emit = (event, data) => void this.told.push({ event, data });
    const host = { clock: realClock, emit, metrics };
    const chain = middleware(configOf(config), host)(handler);
    this.front = openFront(
      "raw",
      { hostname: "127.0.0.1", port: 0 },
      tls ? (exchange) => chain(new OverTls(exchange)) : chain,
      {
        timeouts: { header: 10_000, idle: 75_000, send: 60_000 },
        limits: { header_bytes: 65_536, headers: 200, body: 0 },
      },
      host,
    );
  }

  connect(): Promise<RawPeer> {
    return RawPeer.connect(this.front.address.port);
  }

  /** One request on a connection of its own. */
  async ask(line: string, ...fields: string[]) {
    using client = await this.connect();
    await client.request(`${line} HTTP/1.1`, "Host: example.com", ...fields);
    return await client.message(line.split(" ")[0]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.front.cut();
    await this.front.closed;
    assertEquals(this.told.filter(({ event }) => event === "internal_error"), []);
  }
}
