/**
 * The configuration as the rest of the program sees it: complete (every default filled in), checked,
 * with the file's own names. Durations are milliseconds, sizes bytes.
 *
 * Invariant: a value of type Config came out of `read` without an error; nobody re-checks it.
 */

import type { RetryPolicy } from "../core/backoff.ts";
import type { WebhookSettings } from "../telemetry/webhooks.ts";

/** How a process relates to releases (product contract). */
export type Policy = "proxied" | "companion" | "singleton" | "service";

/** A whole configuration. */
export interface Config {
  /** Absolute path of the file that was read. */
  file: string;
  /** Its directory: relative paths count from here. */
  dir: string;
  version: string;
  application: string;
  /** Absolute; undefined: the place of the user we run as (see lib/daemon/paths.ts). */
  state_dir?: string;
  control: ControlConfig;
  /** Undefined when the file has no `proxy` section and no proxied process. */
  proxy?: ProxyConfig;
  /** In the file's order. */
  processes: ProcessConfig[];
  release_retention: { keep: number; max_age: number };
  legacy_takeover?: LegacyTakeover;
  /** What of the journal is on disk: bytes of a file, files in all. */
  events: { max_size: number; max_files: number };
  webhooks: WebhookSettings[];
  /** Checked sections of plugins by name, defaults filled in. */
  sections: Record<string, unknown>;
  /** Things that are allowed but deserve a word. */
  warnings: string[];
}

/** The part that client commands need: readable even when the rest of the file is broken. */
export interface ControlIdentity {
  file: string;
  dir: string;
  application: string;
  state_dir?: string;
  control: ControlConfig;
}

export interface ControlConfig {
  /** Absolute; undefined: the place of the user we run as. */
  socket?: string;
  /** Permission bits, e.g. 0o660. */
  mode: number;
  /** Name or numeric id as written. */
  owner?: string;
  group?: string;
}

export interface ProxyConfig {
  address: { host: string; port: number };
  /** Which front serves: our own HTTP/1.1 or Deno.serve. */
  front: "raw" | "serve";
  upstream_host: string;
  health: HealthDefaults;
  drain_timeout: number;
  force_stop_timeout: number;
  /** CIDR blocks, `10.0.0.0/8`, `::1/128`. */
  trusted_proxies: string[];
  timeouts: { header: number; idle: number; send: number; connect: number; response: number };
  /** Bytes and counts; body 0: no limit. */
  limits: { header_bytes: number; headers: number; body: number };
  /** How long arrivals wait for a crashed process before 503. */
  hold: number;
}

export interface HealthDefaults {
  path: string;
  timeout: number;
  interval: number;
  attempt_timeout: number;
  start_delay: number;
}

/** How a process is proven; `kind: "none"`: started means ready. */
export type HealthConfig =
  | { kind: "none" }
  | ({ kind: "http" } & HealthDefaults)
  | ({ kind: "tcp" } & Omit<HealthDefaults, "path">);

/** A process's `port`: an inclusive range; `{from: 0, to: 0}` lets the system choose. */
export interface PortRange {
  from: number;
  to: number;
}

export interface ProcessConfig {
  id: string;
  policy: Policy;
  /** A string runs by /bin/sh -c, a list without a shell. Templated. */
  command: string | string[];
  /** Templated; default `{{release_path}}`. */
  cwd: string;
  /** Values templated. */
  env: Record<string, string>;
  port?: PortRange;
  replicas: number;
  health: HealthConfig;
  stop_signal: Deno.Signal;
  /** Milliseconds, or for ever. */
  graceful_stop: number | "indefinite";
  lifecycle: {
    quiet_command?: string;
    drain_command?: string;
    drain_timeout: number;
    stop_command?: string;
  };
  non_blocking_drain: boolean;
  restart: RetryPolicy;
  memory?: { limit: number; warn: number; check_interval: number };
  deploy_strategy: "persistent" | "handoff";
  user?: string;
  /** It came from RoadRunner's `service` section: it runs without a deploy, too. */
  origin?: "service";
  depends_on: Record<string, "started" | "healthy">;
  /** Lines of output kept in memory for status and errors. */
  output_lines: number;
}

export interface LegacyTakeover {
  screens: string[];
  supervisord: string[];
  pm2: string[];
  processes: { name: string; includes: string[] }[];
  force_stop_timeout: number;
}

/** How a difference between two configurations takes effect. */
export type Effect = "live" | "generation" | "listener" | "refused";

/** One difference. */
export interface Change {
  /** Path in the file: `processes.web.command`. */
  field: string;
  effect: Effect;
  /** Id of the process it concerns, if it concerns one. */
  process?: string;
  /** Why, for people; always set when refused. */
  reason?: string;
}
