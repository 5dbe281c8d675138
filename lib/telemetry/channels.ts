/**
 * Which part of the daemon an event is of, by the names that RoadRunner gives its plugins: what
 * `logs.channels` can set apart.
 *
 * | channel             | its events                                                             |
 * | ------------------- | ---------------------------------------------------------------------- |
 * | `server`            | workers and their pools, `on_init`, the relay address                  |
 * | `http`              | `http_request`, CORS, uploads, files, failed requests, its listeners   |
 * | `tcp`, `jobs`, `rpc` | theirs, with their listeners and failed requests                      |
 * | `metrics`, `status` | their listeners                                                        |
 * | `service`           | what happens to programs of the section `service`                      |
 * | `app`               | `app_log`: what the application logs by RPC                            |
 * | `logs`              | the log itself: reopened                                               |
 *
 * Invariant: an event is of one channel at most; what is of none (deploys, the daemon itself, forwarding)
 * is in the main log always.
 */

import type { Renderable } from "./render.ts";

/** All of them. */
export const CHANNELS = [
  "server",
  "http",
  "tcp",
  "jobs",
  "rpc",
  "metrics",
  "status",
  "service",
  "app",
  "logs",
] as const;

/** The name of one. */
export type Channel = typeof CHANNELS[number];

/** How names of events begin that are of one channel, whatever their facts. */
const BEGINNINGS: readonly [string, Channel][] = [
  ["worker_", "server"],
  ["pool_", "server"],
  ["on_init_", "server"],
  ["relay_", "server"],
  ["http_", "http"],
  ["cors_", "http"],
  ["sendfile_", "http"],
  ["upload", "http"],
  ["tcp_", "tcp"],
  ["job_", "jobs"],
  ["jobs_", "jobs"],
  ["pipeline_", "jobs"],
  ["schedule", "jobs"],
  ["rpc_", "rpc"],
  ["app_", "app"],
  ["log_", "logs"],
];

/** The channel of an event; undefined: none. @param services ids of the section `service` */
export function channelOf(
  { event, data }: Pick<Renderable, "event" | "data">,
  services: ReadonlySet<string>,
): Channel | undefined {
  const known = BEGINNINGS.find(([beginning]) => event.startsWith(beginning))?.[1];
  if (known !== undefined) return known;
  if (event.startsWith("listener_")) return named(data.name);
  if (event === "request_failed") return named(data.plugin);
  // `mail#1` is a copy of `mail`.
  const process = typeof data.process === "string" ? data.process.split("#")[0] : undefined;
  return process !== undefined && services.has(process) ? "service" : undefined;
}

/** By the name of a plugin or of one of its addresses: `tcp.main` is of `tcp`. */
function named(name: unknown): Channel | undefined {
  const plugin = String(name).split(".")[0];
  return CHANNELS.find((channel) => channel === plugin);
}
