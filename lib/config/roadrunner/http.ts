/**
 * The `http` section of RoadRunner.
 *
 * Invariant: types and schema; a value of these types came out of the schema complete, sizes in
 * bytes, durations in milliseconds, paths absolute.
 */

import type { PoolSettings } from "./pool.ts";

/** `http`, checked and complete. */
export interface HttpConfig {
  /** Undefined: only TLS. A path for `unix:///run/app.sock`. */
  address?: { host: string; port: number } | { path: string };
  /** Undefined: not written (502, 504, 503 for crash, timeout, no worker; 500 for ERROR frames). */
  internal_error_code?: number;
  access_logs: boolean;
  /** Bytes; 0 was replaced by RoadRunner's 1000 MB. */
  max_request_size: number;
  raw_body: boolean;
  /** Encoding of requests to workers (key of ours: `http.encoding`). */
  encoding: "json" | "protobuf";
  /** Names in the order of the file; the first is the outermost. Only known ones. */
  middleware: MiddlewareName[];
  /** CIDR blocks; effective with `proxy_ip_parser`. */
  trusted_subnets: string[];
  trusted_headers: string[];
  uploads: { dir: string; forbid: string[]; allow: string[] };
  headers: HeadersConfig;
  static?: StaticConfig;
  ssl?: SslConfig;
  pool: PoolSettings & { command?: string | string[] };
  /** Keys of ours, as in `proxy`. */
  timeouts: { header: number; idle: number; send: number };
  limits: { header_bytes: number; headers: number };
  /** How long the requests of a retired generation may take (key of ours). */
  drain_timeout: number;
}

/** Middleware that exists here. */
export type MiddlewareName =
  | "headers"
  | "gzip"
  | "static"
  | "sendfile"
  | "http_metrics"
  | "proxy_ip_parser";

/** `http.headers` */
export interface HeadersConfig {
  request: Record<string, string>;
  response: Record<string, string>;
  cors?: {
    allowed_origin: string;
    allowed_origin_regex?: string;
    allowed_headers: string;
    allowed_methods: string;
    allow_credentials: boolean;
    exposed_headers: string;
    /** Seconds; 0: the header is not sent. */
    max_age: number;
    options_success_status: number;
    debug: boolean;
  };
}

/** `http.static` */
export interface StaticConfig {
  dir: string;
  /** Lower-case extensions with their dot. */
  forbid: string[];
  allow: string[];
  calculate_etag: boolean;
  weak: boolean;
  request: Record<string, string>;
  response: Record<string, string>;
}

/** `http.ssl` */
export interface SslConfig {
  address: { host: string; port: number };
  /** Plain requests are sent to the TLS address by 308. */
  redirect: boolean;
  /** Absolute paths of PEM files. */
  cert: string;
  key: string;
}
