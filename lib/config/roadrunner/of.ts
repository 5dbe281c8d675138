/**
 * RoadRunner's sections of a configuration, typed.
 *
 * Invariant: pure reads; undefined is a section that is not written, unless said otherwise.
 */

import type { Config } from "../config.ts";
import { SERVER } from "../defaults.ts";
import type { HttpConfig } from "./http.ts";
import type { JobsConfig } from "./jobs.ts";
import type { LogsConfig } from "./logs.ts";
import type { MetricsConfig } from "./metrics.ts";
import type { RpcConfig } from "./rpc.ts";
import type { ServerConfig } from "./server.ts";
import type { StatusConfig } from "./status.ts";
import type { TcpConfig } from "./tcp.ts";

/** `server`; its defaults when it is not written, because every pool may have its own command. */
export function serverOf(config: Config): ServerConfig {
  return config.sections.server as ServerConfig | undefined ?? { ...SERVER, env: {} };
}

/** `http` */
export function httpOf(config: Config): HttpConfig | undefined {
  return config.sections.http as HttpConfig | undefined;
}

/** `tcp` */
export function tcpOf(config: Config): TcpConfig | undefined {
  return config.sections.tcp as TcpConfig | undefined;
}

/** `jobs` */
export function jobsOf(config: Config): JobsConfig | undefined {
  return config.sections.jobs as JobsConfig | undefined;
}

/** `rpc` */
export function rpcOf(config: Config): RpcConfig | undefined {
  return config.sections.rpc as RpcConfig | undefined;
}

/** `status` */
export function statusOf(config: Config): StatusConfig | undefined {
  return config.sections.status as StatusConfig | undefined;
}

/** `metrics` */
export function metricsOf(config: Config): MetricsConfig | undefined {
  return config.sections.metrics as MetricsConfig | undefined;
}

/** `logs` */
export function logsOf(config: Config): LogsConfig | undefined {
  return config.sections.logs as LogsConfig | undefined;
}
