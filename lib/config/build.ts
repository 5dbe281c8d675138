/**
 * From checked values to a complete Config: every default filled in, every path absolute.
 *
 * Invariant: pure; what it returns depends on the values, the place of the file and defaults.ts only.
 */

import { basename, isAbsolute, join } from "@std/path";
import type {
  Config,
  ControlConfig,
  HealthConfig,
  HealthDefaults,
  LegacyTakeover,
  ProcessConfig,
  ProxyConfig,
} from "./config.ts";
import * as defaults from "./defaults.ts";
import { applicationFrom } from "./names.ts";
import { type ServiceConfig, servicesAsProcesses } from "./roadrunner/service.ts";
import type { FileValues, ProcessValues, ProxyValues } from "./schema/file.ts";

/** Where the file is and what relative paths in it count from. */
export interface Place {
  /** Absolute path of the main file. */
  file: string;
  /** Its directory. */
  dir: string;
  /** Directory of the file in which the value at `path` is written. */
  dirAt(path: readonly string[]): string;
}

/** Fills a Config. `sections`: the whole values of the other sections. */
export function buildConfig(
  values: FileValues,
  sections: Record<string, unknown>,
  place: Place,
): Config {
  const written = values.processes ?? {};
  const proxied = Object.values(written).some((process) => process.policy === "proxied");
  const proxy = values.proxy !== undefined || proxied ? buildProxy(values.proxy ?? {}) : undefined;
  const health = { ...defaults.HEALTH, ...values.proxy?.health };
  const forceStop = values.proxy?.force_stop_timeout ?? defaults.PROXY.force_stop_timeout;
  return {
    file: place.file,
    dir: place.dir,
    version: values.version ?? defaults.VERSION,
    application: values.application ?? defaultApplication(place.dir),
    state_dir: absolute(values.state_dir, ["state_dir"], place),
    control: buildControl(values.control ?? {}, place),
    proxy,
    processes: [
      ...Object.entries(written).map(([id, process]) =>
        buildProcess(id, process, health, forceStop)
      ),
      ...servicesAsProcesses(sections.service as Record<string, ServiceConfig> | undefined ?? {}),
    ],
    release_retention: { ...defaults.RETENTION, ...values.release_retention },
    legacy_takeover: buildLegacy(values.legacy_takeover, forceStop),
    events: { ...defaults.EVENTS, ...values.events },
    webhooks: values.webhooks ?? [],
    sections,
    warnings: [],
  };
}

/** The name of an application whose file has none: its directory's. */
export function defaultApplication(dir: string): string {
  return applicationFrom(basename(dir));
}

/** `control` with its defaults. */
export function buildControl(
  values: Partial<ControlConfig>,
  place: Place,
): ControlConfig {
  return {
    mode: values.mode ?? defaults.CONTROL_MODE,
    socket: absolute(values.socket, ["control", "socket"], place),
    owner: values.owner,
    group: values.group,
  };
}

function absolute(
  path: string | undefined,
  at: readonly string[],
  place: Place,
): string | undefined {
  if (path === undefined || isAbsolute(path)) return path;
  return join(place.dirAt(at), path);
}

/** Addresses that mean "every address", which nobody can connect to. */
const EVERY_ADDRESS = ["0.0.0.0", "::", "0:0:0:0:0:0:0:0"];

function buildProxy(values: ProxyValues): ProxyConfig {
  const { PROXY, HEALTH, UPSTREAM_HOST } = defaults;
  const address = values.address ?? { host: PROXY.host, port: PROXY.port };
  const everywhere = EVERY_ADDRESS.includes(address.host);
  return {
    address,
    front: values.front ?? PROXY.front,
    upstream_host: values.upstream_host ?? (everywhere ? UPSTREAM_HOST : address.host),
    health: { ...HEALTH, ...values.health },
    drain_timeout: values.drain_timeout ?? PROXY.drain_timeout,
    force_stop_timeout: values.force_stop_timeout ?? PROXY.force_stop_timeout,
    trusted_proxies: values.trusted_proxies ?? [],
    timeouts: { ...PROXY.timeouts, ...values.timeouts },
    limits: { ...PROXY.limits, ...values.limits },
    hold: values.hold ?? PROXY.hold,
  };
}

function buildProcess(
  id: string,
  values: ProcessValues,
  health: HealthDefaults,
  forceStop: number,
): ProcessConfig {
  const { PROCESS, RESTART, MEMORY } = defaults;
  const policy = values.policy ?? PROCESS.policy;
  const limited = values.restart?.max_restarts !== undefined;
  return {
    id,
    policy,
    command: values.command,
    cwd: values.cwd ?? PROCESS.cwd,
    env: { ...values.env },
    port: values.port,
    replicas: values.replicas ?? PROCESS.replicas,
    health: buildHealth(values.health, policy === "proxied", health),
    stop_signal: values.stop_signal ?? PROCESS.stop_signal,
    graceful_stop: values.graceful_stop ?? forceStop,
    lifecycle: { drain_timeout: PROCESS.drain_timeout, ...values.lifecycle },
    non_blocking_drain: values.non_blocking_drain ?? PROCESS.non_blocking_drain,
    restart: {
      ...RESTART,
      ...(limited ? { window: defaults.RESTART_WINDOW_WHEN_LIMITED } : {}),
      ...values.restart,
    },
    memory: values.memory === undefined ? undefined : { ...MEMORY, ...values.memory },
    deploy_strategy: values.deploy_strategy ?? PROCESS.deploy_strategy,
    user: values.user,
    depends_on: { ...values.depends_on },
    output_lines: values.output_lines ?? PROCESS.output_lines,
  };
}

function buildHealth(
  values: ProcessValues["health"],
  proxied: boolean,
  standard: HealthDefaults,
): HealthConfig {
  if (values === false || (values === undefined && !proxied)) return { kind: "none" };
  const { tcp, ...rest } = values ?? {};
  const { path, ...times } = { ...standard, ...rest };
  return tcp ? { kind: "tcp", ...times } : { kind: "http", path, ...times };
}

function buildLegacy(
  values: FileValues["legacy_takeover"],
  forceStop: number,
): LegacyTakeover | undefined {
  if (values === undefined) return undefined;
  return {
    screens: values.screens ?? [],
    supervisord: values.supervisord ?? [],
    pm2: values.pm2 ?? [],
    processes: (values.processes ?? []).map(({ name, includes }, i) => ({
      name: name ?? `legacy process ${i + 1}`,
      includes,
    })),
    force_stop_timeout: values.force_stop_timeout ?? forceStop,
  };
}
