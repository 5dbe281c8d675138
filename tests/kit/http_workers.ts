/**
 * A daemon whose `http` section serves the PHP worker of the fixtures, and clients for it.
 *
 *   httpTest("what it shows", { http: { middleware: ["gzip"] } }, async (site) => {
 *     assertEquals((await site.ask("GET /pid")).status, 200);
 *   });
 *
 * Invariant: addresses are the test's own; a client asks on a connection of its own unless it says
 * otherwise.
 */

import { type Daemon, daemonTest } from "./daemon.ts";
import type { DaemonOptions } from "./daemon_options.ts";
import { freePort } from "./ports.ts";
import { fixture, type Yaml } from "./programs.ts";
import { type RawMessage, RawPeer } from "./raw_http.ts";
import { until } from "./wait.ts";
import type { PoolSnapshot } from "../../lib/pool/types.ts";
import type { EventRecord } from "../../lib/telemetry/events.ts";

/** What a test wants different from one PHP worker on a plain address. */
export interface SiteOptions {
  /** Laid over `http`. */
  http?: Yaml;
  /** Laid over `http.pool`. */
  pool?: Yaml;
  /** Laid over `server`. */
  server?: Yaml;
  /** More sections. */
  config?: Yaml;
  files?: DaemonOptions["files"];
}

/** A daemon with PHP workers behind `port`. */
export class Site {
  constructor(readonly daemon: Daemon, readonly port: number) {}

  connect(): Promise<RawPeer> {
    return RawPeer.connect(this.port);
  }

  /** One request, `GET /path`, on a connection of its own. */
  async ask(line: string, fields: string[] = [], body = ""): Promise<RawMessage> {
    using client = await this.connect();
    return await ask(client, line, fields, body);
  }

  /** Waits until the pool stands as wanted. */
  poolUntil(what: string, wanted: (pool: PoolSnapshot) => boolean): Promise<true> {
    return until(what, async () => {
      const { pools } = await (await this.daemon.api("/v1/workers")).json();
      return wanted(pools[0]);
    });
  }

  /** Events of a name so far. */
  async told(name: EventRecord["event"]): Promise<EventRecord["data"][]> {
    return (await this.daemon.events()).filter(({ event }) => event === name)
      .map(({ data }) => data);
  }

  /** Waits for an event and returns its facts. */
  async tells(
    name: EventRecord["event"],
    wanted: (data: EventRecord["data"]) => boolean = () => true,
  ): Promise<EventRecord["data"]> {
    return (await this.daemon.event(name, ({ data }) => wanted(data))).data;
  }
}

/** A test with PHP workers. The configuration may need the place of the test. */
export function httpTest(
  name: string,
  options: SiteOptions | ((dir: string) => SiteOptions),
  body: (site: Site) => Promise<void>,
): void {
  const port = freePort();
  const given = typeof options === "function" ? undefined : options;
  daemonTest(name, {
    files: given?.files,
    config: ({ dir }) => siteConfig(port, given ?? (options as (dir: string) => SiteOptions)(dir)),
  }, (daemon) => body(new Site(daemon, port)));
}

/** The configuration of such a daemon. */
export function siteConfig(port: number, { http, pool, server, config }: SiteOptions = {}): Yaml {
  return {
    server: { command: ["php", fixture("php/http_worker.php")], ...server },
    http: {
      address: `127.0.0.1:${port}`,
      ...http,
      pool: { num_workers: 1, ...pool },
    },
    ...config,
  };
}

/** A request on a connection that is there, and its answer. */
export async function ask(
  client: RawPeer,
  line: string,
  fields: string[] = [],
  body = "",
): Promise<RawMessage> {
  await sendRequest(client, line, fields, body);
  return await client.message(line.split(" ")[0]);
}

/** Sends a request with its length; its answer is the caller's to read. */
export async function sendRequest(
  client: RawPeer,
  line: string,
  fields: string[] = [],
  body = "",
): Promise<void> {
  const host = fields.some((field) => /^host:/i.test(field)) ? [] : ["Host: shop.example"];
  const length = body === "" ? [] : [`Content-Length: ${body.length}`];
  await client.request(`${line} HTTP/1.1`, ...host, ...fields, ...length);
  if (body !== "") await client.send(body);
}

/** A query of a fixture's route: `/stream?n=3&gate=…`. */
export function route(path: string, query: Record<string, string | number>): string {
  const pairs = Object.entries(query).map(([name, value]) =>
    `${name}=${encodeURIComponent(String(value))}`
  );
  return `${path}?${pairs.join("&")}`;
}

/** What /echo says of a request. */
export interface Echo {
  flags: number;
  // deno-lint-ignore no-explicit-any -- the shape is what tests look at
  context: any;
  /** Base64. */
  body: string;
  pid: number;
}

/** An answer of /echo. */
export function echoOf({ status, body }: RawMessage): Echo {
  if (status !== 200) throw new Error(`not an echo: ${status} ${body}`);
  return JSON.parse(body);
}
