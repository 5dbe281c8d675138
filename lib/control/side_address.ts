/**
 * An address of the daemon beside the control socket, for machines that look: status, metrics. A Hono
 * app behind our own HTTP front, because such an address may be reachable for anybody and Deno.serve
 * has no limits in time.
 *
 * | event            | effect                                                                    |
 * | ---------------- | ------------------------------------------------------------------------- |
 * | start            | bound, when the configuration has it                                      |
 * | rebind, commit   | the new address is bound before the old one closes; none: the old closes  |
 * | drain, cut       | as every address                                                          |
 *
 * Invariant: read only (GET and HEAD), no body of a request is ever read; a handler that throws
 * answers 500 and is an event; whether it can be asked depends on nothing but its listener.
 */

import { Hono } from "hono";
import type { Config } from "../config/config.ts";
import { messageOf } from "../core/failure.ts";
import {
  type AddressHost,
  BytesBody,
  type Exchange,
  type FrontOptions,
  ListeningAddress,
  ResponseHead,
} from "../http/mod.ts";
import type { Rebinding } from "../release/intake.ts";

/** What such an address needs to be. */
export interface SideAddressOptions {
  /** For events and failures: `status`; the key is `status.address`. */
  name: string;
  host: AddressHost;
  /** Where it listens by a configuration; undefined: it has no such section. */
  whereOf(config: Config): { host: string; port: number } | undefined;
  /** Paths and what answers them. */
  routes: Readonly<Record<string, (url: URL) => Response | Promise<Response>>>;
}

/** Machines ask short questions: nothing of them may be large or take long. */
const FRONT: FrontOptions = {
  timeouts: { header: 10_000, idle: 75_000, send: 10_000 },
  limits: { header_bytes: 16 * 1024, headers: 100, body: 64 * 1024 },
};

/** How long answers may take to be sent when an address closes, milliseconds. */
const CLOSE = 5_000;

/** See the file's comment. */
export class SideAddress {
  readonly #options: SideAddressOptions;
  readonly #address: ListeningAddress;
  readonly #app: Hono;
  #where: { host: string; port: number } | undefined;

  constructor(options: SideAddressOptions) {
    this.#options = options;
    this.#address = new ListeningAddress(options.name, options.host);
    this.#app = appOf(options);
  }

  /** Where it listens, for people; "" when nowhere. */
  get printed(): string {
    return this.#address.printed;
  }

  /** @throws Failure when the address cannot be bound */
  start(config: Config): void {
    this.rebind(config)?.commit();
  }

  /**
   * Binds the address of `next` if it differs; the old one stays in use until commit().
   * @throws Failure when it cannot be bound
   */
  rebind(next: Config): Rebinding | undefined {
    const { name, whereOf } = this.#options;
    const where = whereOf(next);
    if (where?.host === this.#where?.host && where?.port === this.#where?.port) return undefined;
    const front = where && this.#address.open({
      where,
      field: `${name}.address`,
      kind: "raw",
      options: FRONT,
      handler: () => (exchange) => this.#answer(exchange),
    });
    return {
      commit: () => {
        this.#where = where;
        this.#address.use(front, CLOSE);
      },
      undo: () => front?.cut(),
    };
  }

  /** Nothing but where it listens comes from the configuration. */
  configure(): void {}

  /** Takes no more connections, sends the answers that are on their way. */
  async drain(): Promise<void> {
    await this.#address.drain(CLOSE);
  }

  /** Ends every connection now. */
  cut(): void {
    this.#address.cut();
  }

  async #answer(exchange: Exchange): Promise<void> {
    // Hono would answer HEAD without a length; the front sends no body for HEAD anyway.
    const method = exchange.method === "HEAD" ? "GET" : exchange.method;
    const url = `http://localhost${exchange.target.startsWith("/") ? exchange.target : "/"}`;
    const response = await this.#app.fetch(requestOf(url, method));
    const body = new BytesBody(new Uint8Array(await response.arrayBuffer()));
    await exchange.respond(ResponseHead.of(response.status, [...response.headers]), body);
  }
}

/** Methods that the platform's Request refuses are as unwelcome here as any but GET. */
function requestOf(url: string, method: string): Request {
  try {
    return new Request(url, { method });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return new Request(URL.canParse(url) ? url : "http://localhost/", { method: "OPTIONS" });
  }
}

function appOf({ name, host, routes }: SideAddressOptions): Hono {
  const app = new Hono();
  for (const [path, answer] of Object.entries(routes)) {
    app.get(path, (context) => answer(new URL(context.req.url)));
    app.all(path, (context) => context.text("use GET\n", 405, { allow: "GET, HEAD" }));
  }
  const paths = Object.keys(routes).join(", ");
  app.notFound((context) => context.text(`there are: ${paths}\n`, 404));
  app.onError((error, context) => {
    const where = `${name} ${context.req.path}`;
    host.emit("internal_error", { where, error: messageOf(error), stack: error.stack });
    return context.text("internal error\n", 500);
  });
  return app;
}
