/**
 * A front with forwarding in front of raw programs, as tests of the data path need it.
 *
 * Invariant: disposing it proves that nothing is left: no lease, no client connection, no request.
 */

import { assertEquals } from "@std/assert";
import type { Clock } from "../../../lib/core/clock.ts";
import { Gate } from "../../../lib/core/gate.ts";
import {
  forward,
  type ForwardSettings,
  type Front,
  type FrontKind,
  type FrontOptions,
  type Handler,
  Networks,
  openFront,
  Upstream,
  UpstreamSet,
} from "../../../lib/http/mod.ts";
import { realClock } from "../../../lib/os/clock.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import { RawPeer, RawServer } from "../../kit/raw_http.ts";
import { until } from "../../kit/wait.ts";

export interface ProxyOptions {
  kind?: FrontKind;
  clock?: Clock;
  timeouts?: Partial<FrontOptions["timeouts"]>;
  limits?: Partial<FrontOptions["limits"]>;
  settings?: Partial<ForwardSettings>;
  trusted?: string[];
  /** Instead of forwarding. */
  handler?: Handler;
}

export class Proxy implements AsyncDisposable {
  readonly clock: Clock;
  readonly gate: Gate<UpstreamSet>;
  readonly set = new UpstreamSet("v1");
  readonly front: Front;
  readonly events: { event: string; data: Record<string, unknown> }[] = [];

  constructor(ports: number[], options: ProxyOptions = {}) {
    this.clock = options.clock ?? realClock;
    this.gate = new Gate(this.clock);
    for (const [i, port] of ports.entries()) this.set.add(this.upstream(`web-${i}`, port));
    if (ports.length > 0) this.gate.swap(this.set);
    const settings: ForwardSettings = {
      trusted_proxies: Networks.parse(options.trusted ?? []),
      timeouts: { connect: 5000, response: 60_000, send: 60_000 },
      hold: 2000,
      public_port: 8182,
      limits: { header_bytes: 65_536, headers: 200 },
      ...options.settings,
    };
    const emit: Emit = (event, data) => {
      this.events.push({ event, data: data as Record<string, unknown> });
    };
    const host = { clock: this.clock, emit };
    this.front = openFront(
      options.kind ?? "raw",
      { hostname: "127.0.0.1", port: 0 },
      options.handler ?? forward(this.gate, () => settings, host),
      {
        timeouts: { header: 10_000, idle: 75_000, send: 60_000, ...options.timeouts },
        limits: { header_bytes: 65_536, headers: 200, body: 0, ...options.limits },
      },
      host,
    );
  }

  upstream(instance: string, port: number): Upstream {
    return new Upstream(instance, "127.0.0.1", port, { clock: this.clock });
  }

  connect(): Promise<RawPeer> {
    return RawPeer.connect(this.front.address.port);
  }

  /** Events of a name. */
  told(event: string): Record<string, unknown>[] {
    return this.events.filter((one) => one.event === event).map((one) => one.data);
  }

  /** Waits until nothing is under way. */
  async quiet(): Promise<void> {
    await until("no lease and no request", () => this.gate.held === 0 && this.front.requests === 0);
    assertEquals(this.set.counts, { http: 0, websocket: 0 });
    for (const upstream of this.set.list()) assertEquals(upstream.outstanding, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.front.cut();
    await this.front.closed;
    await this.quiet();
    assertEquals(this.front.connections, 0);
    for (const upstream of this.set.list()) {
      upstream.close();
      await until("no upstream connection", () => upstream.connections === 0);
    }
    assertEquals(this.told("internal_error"), []);
  }
}

/** A program that answers every request with the given raw text. */
export function answering(text: string | ((head: string, index: number) => string)): RawServer {
  return new RawServer(async (peer, index) => {
    for (;;) {
      const head = await peer.until("\r\n\r\n");
      await peer.send(typeof text === "string" ? text : text(head, index));
    }
  });
}

/** An answer of 200 with a body. */
export function ok(body: string, ...fields: string[]): string {
  return ["HTTP/1.1 200 OK", ...fields, `Content-Length: ${body.length}`, "", body].join("\r\n");
}

/** A program that answers with the request head and body that it got. */
export function echo(): RawServer {
  return new RawServer(async (peer) => {
    for (;;) {
      const head = await peer.until("\r\n\r\n");
      const length = /^content-length: *(\d+)/im.exec(head)?.[1];
      let body = "";
      if (/^transfer-encoding: chunked/im.test(head)) body = await peer.until("0\r\n\r\n");
      else if (length !== undefined) body = await peer.bytes(Number(length));
      await peer.send(ok(head + body));
    }
  });
}
