/** Configurations for tests of releases: complete ones, as if read from a file. */

import type { Config, Policy, ProcessConfig, ProxyConfig } from "../../../lib/config/config.ts";
import * as defaults from "../../../lib/config/defaults.ts";
import type { Random } from "../../kit/random.ts";

/** A process with every default; without a health check, stopped within a second. */
export function processOf(
  id: string,
  policy: Policy = "companion",
  more: Partial<ProcessConfig> = {},
): ProcessConfig {
  return {
    ...defaults.PROCESS,
    id,
    policy,
    command: `run ${id}`,
    env: {},
    health: { kind: "none" },
    graceful_stop: 1_000,
    lifecycle: { drain_timeout: 0 },
    restart: { ...defaults.RESTART },
    depends_on: {},
    ...more,
  };
}

/** A proxied process on a range of ports. */
export function proxiedOf(id: string, more: Partial<ProcessConfig> = {}): ProcessConfig {
  return processOf(id, "proxied", { port: { from: 20_000, to: 20_099 }, ...more });
}

/** The proxy section with every default, on any port. */
export function proxyOf(more: Partial<ProxyConfig> = {}): ProxyConfig {
  const { host, port: _, ...rest } = defaults.PROXY;
  return {
    ...rest,
    address: { host, port: 0 },
    upstream_host: host,
    health: { ...defaults.HEALTH },
    trusted_proxies: [],
    ...more,
  };
}

/** A configuration of these processes. */
export function configOf(processes: ProcessConfig[], more: Partial<Config> = {}): Config {
  return {
    file: "/etc/app/supervisor.yaml",
    dir: "/etc/app",
    version: defaults.VERSION,
    application: "app",
    control: { mode: defaults.CONTROL_MODE },
    proxy: proxyOf(),
    processes,
    release_retention: { ...defaults.RETENTION },
    events: { ...defaults.EVENTS },
    webhooks: [],
    sections: {},
    warnings: [],
    ...more,
  };
}

const TIERS: Policy[] = ["service", "companion", "proxied"];

/** Random processes; depends_on runs from later to earlier in a random order, so never in a circle. */
export function randomProcesses(random: Random): ProcessConfig[] {
  const count = random.int(1, 9);
  const all = Array.from({ length: count }, (_, index) => {
    const depends_on: ProcessConfig["depends_on"] = {};
    for (let other = 0; other < index; other++) {
      if (random.chance(0.3)) depends_on[`p${other}`] = random.pick(["started", "healthy"]);
    }
    return processOf(`p${index}`, random.pick(TIERS), { depends_on });
  });
  return all.sort(() => random.chance(0.5) ? 1 : -1);
}
