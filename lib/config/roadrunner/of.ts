/**
 * RoadRunner's sections of a configuration, typed.
 *
 * Invariant: pure reads; undefined is a section that is not written, unless said otherwise.
 */

import type { Config } from "../config.ts";
import { SERVER } from "../defaults.ts";
import type { HttpConfig } from "./http.ts";
import { DRIVERS } from "./drivers/mod.ts";
import type { Brokers, JobsConfig } from "./jobs.ts";
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

const section = <T>(name: string) => (config: Config): T | undefined =>
  config.sections[name] as T | undefined;

export const httpOf = section<HttpConfig>("http");
export const tcpOf = section<TcpConfig>("tcp");
export const rpcOf = section<RpcConfig>("rpc");
export const statusOf = section<StatusConfig>("status");
export const metricsOf = section<MetricsConfig>("metrics");
export const logsOf = section<LogsConfig>("logs");

/** `jobs`, with what the file says of the brokers. */
export function jobsOf({ sections }: Config): JobsConfig | undefined {
  const jobs = sections.jobs as JobsConfig | undefined;
  return jobs && { ...jobs, brokers: brokersOf(sections) };
}

function brokersOf(sections: Config["sections"]): Brokers {
  return Object.fromEntries(
    [...DRIVERS].flatMap(([name, { broker }]) =>
      broker === undefined ? [] : [[name, sections[name] ?? broker.preset]]
    ),
  );
}
