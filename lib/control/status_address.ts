/**
 * The status address of RoadRunner, `status.address`, for load balancers and orchestrators.
 *
 * | path                | 200 when                                              | else, and body                 |
 * | ------------------- | ----------------------------------------------------- | ------------------------------ |
 * | `/health?plugin=…`  | each plugin has a living worker; also while draining  | code of the section; list      |
 * | `/ready?plugin=…`   | each plugin has a free worker and reaches what it     | code of the section; list      |
 * |                     | needs of others, and we do not drain                  |                                |
 * | `/jobs`             | we do not drain                                       | code of the section; list      |
 * | `/livez`            | always                                                | `{"status":"ok"}`              |
 * | `/readyz`           | as `/ready` for everything, once the start is over    | code of the section; reasons   |
 *
 * A list has one `{plugin_name, error_message, status_code}` for each plugin asked for (repeated, or with
 * commas; none: all). Forwarding is the plugin `proxy`: it has a worker when a program is ready.
 *
 * Invariant: every answer is a pure read and comes at once (`/jobs`: within the time that drivers are
 * given), from the first moment to the very last; while the daemon stops, every answer says `draining`.
 */

import type { Config } from "../config/config.ts";
import { STATUS } from "../config/defaults.ts";
import { statusOf } from "../config/roadrunner/mod.ts";
import type { AddressHost } from "../http/mod.ts";
import type { Health } from "./rpc/host.ts";
import { SideAddress } from "./side_address.ts";

/** What the address asks of the daemon. */
export interface StatusHost {
  readonly state: "starting" | "running" | "stopping";
  /** Plugins that are configured, by name: `http`, `proxy`. */
  plugins(): string[];
  /** The pipelines of jobs, as RoadRunner shows them; drivers are asked. */
  jobs(): Promise<unknown[]>;
  /** How one is; undefined: there is no such plugin. */
  health(plugin: string, question: "alive" | "ready"): Health | undefined;
}

/** One plugin in an answer, as RoadRunner shows it. */
interface Item {
  plugin_name: string;
  error_message: string;
  status_code: number;
}

const OK = 200;
const NOT_FOUND = 404;
const DRAINING = "draining: the daemon is shutting down";
const STARTING = "the daemon is starting";
/** Plugins that one question may name. */
const MAX_ASKED = 100;

/** The address, not yet bound. `config`: the configuration in force. */
export function statusAddress(
  host: StatusHost,
  config: () => Config,
  outside: AddressHost,
): SideAddress {
  const bad = () => (statusOf(config()) ?? STATUS).unavailable_status_code;
  return new SideAddress({
    name: "status",
    host: outside,
    whereOf: (config) => statusOf(config)?.address,
    routes: {
      "/health": (url) => listed(asked(url, host).map((name) => alive(host, name))),
      "/ready": (url) => listed(asked(url, host).map((name) => ready(host, name, bad()))),
      "/jobs": async () => json(await host.jobs(), host.state === "stopping" ? bad() : OK),
      "/livez": () => json({ status: host.state === "stopping" ? "draining" : "ok" }),
      "/readyz": () => readyz(host, bad()),
    },
  });
}

/** The plugins a question is about. */
function asked(url: URL, host: StatusHost): string[] {
  const names = url.searchParams.getAll("plugin").flatMap((value) => value.split(","))
    .map((name) => name.trim()).filter((name) => name !== "");
  return names.length === 0 ? host.plugins() : [...new Set(names)].slice(0, MAX_ASKED);
}

function alive(host: StatusHost, name: string): Item {
  const health = host.health(name, "alive");
  if (health === undefined) return unknown(name);
  // Whoever drains is not to be killed for it.
  return host.state === "stopping"
    ? item(name, OK, DRAINING)
    : item(name, health.code, health.message);
}

function ready(host: StatusHost, name: string, bad: number): Item {
  const health = host.health(name, "ready");
  if (health === undefined) return unknown(name);
  if (host.state === "stopping") return item(name, bad, DRAINING);
  if (host.state === "starting") return item(name, bad, STARTING);
  return item(name, health.code, health.message);
}

function unknown(name: string): Item {
  return item(name, NOT_FOUND, "there is no such plugin");
}

function item(plugin_name: string, status_code: number, error_message: string): Item {
  return { plugin_name, error_message, status_code };
}

/** The list, with the worst code of it. */
function listed(items: Item[]): Response {
  return json(items, Math.max(OK, ...items.map(({ status_code }) => status_code)));
}

function readyz(host: StatusHost, bad: number): Response {
  if (host.state === "stopping") return json({ status: "draining" }, bad);
  if (host.state === "starting") return json({ status: "starting" }, bad);
  const reasons = host.plugins().map((name) => ready(host, name, bad))
    .filter(({ status_code }) => status_code !== OK)
    .map(({ plugin_name, error_message }) => `${plugin_name}: ${error_message}`);
  return reasons.length === 0
    ? json({ status: "ok" })
    : json({ status: "unavailable", reasons }, bad);
}

function json(body: unknown, status = OK): Response {
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  return new Response(`${JSON.stringify(body)}\n`, { status, headers });
}
