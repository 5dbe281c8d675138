/**
 * From a configured process to what really runs: templates rendered, environment put together.
 *
 * Invariant: pure. A variable without a value never renders; the failure names the variable and the
 * field it stands in. Environment values never appear in a message.
 */

import { isAbsolute, join } from "@std/path";
import type { Config, HealthConfig, ProcessConfig } from "../config/config.ts";
import { Failure } from "../core/failure.ts";
import { render, type TemplateValues } from "../core/template.ts";
import type { Identity } from "../os/system.ts";
import type { LiveSettings, ProbeSpec, ProcessSpec } from "../process/types.ts";
import type { ReleaseContext } from "./intake.ts";

/** Host that forwarding and probes use when the configuration has no proxy section. */
const LOOPBACK = "127.0.0.1";

/** The injected variable that tells our programs from those of others. */
const MARK = "SUPERVISOR_RELEASE_PATH";

/** Everything a copy of a process is rendered from. */
export interface Source {
  config: Config;
  release: Pick<ReleaseContext, "release_id" | "release_path" | "revision">;
  /** What children inherit: the daemon's environment without our internals. */
  env: Readonly<Record<string, string>>;
  /** Port of each process that has one; with replicas that of the first. */
  ports: ReadonlyMap<string, number>;
}

/** The same in a release that is built. */
export interface Surroundings extends Source {
  release: ReleaseContext;
}

/** Which copy. */
export interface Copy {
  index: number;
  count: number;
  port?: number;
  identity?: Identity;
}

/** Id of a copy: the bare id when there is one, `id#0`, `id#1` … when there are several. */
export function instanceId(id: string, copy: { index: number; count: number }): string {
  return copy.count > 1 ? `${id}#${copy.index}` : id;
}

/** The host that upstream programs listen on. */
export function upstreamHost(config: Config): string {
  return config.proxy?.upstream_host ?? LOOPBACK;
}

/** @throws Failure naming variable and field when a template has no value. */
export function renderProcess(
  process: ProcessConfig,
  copy: Copy,
  around: Source,
): ProcessSpec {
  const values = templateValues(process.id, copy, around);
  const text = (value: string, field: string) => rendered(ownerOf(process), field, value, values);
  const env: Record<string, string> = { ...around.env, ...injected(process.id, copy, around) };
  for (const [name, value] of Object.entries(process.env)) env[name] = text(value, `env.${name}`);
  for (const [name, value] of Object.entries(identityEnv(copy.identity))) {
    if (process.env[name] === undefined) env[name] = value;
  }
  const cwd = text(process.cwd, "cwd");
  const argv = typeof process.command === "string"
    ? ["/bin/sh", "-c", text(process.command, "command")]
    : process.command.map((word) => text(word, "command"));
  return {
    id: process.id,
    instance: instanceId(process.id, copy),
    release: around.release.release_id,
    argv,
    command: typeof process.command === "string" ? argv[2] : argv.join(" "),
    cwd: isAbsolute(cwd) ? cwd : join(around.release.release_path, cwd),
    env,
    identity: copy.identity,
    port: copy.port,
    live: renderLive(process, copy, around),
  };
}

/** `NAME=value` by which a program of ours is known though its leader is gone. */
export function markOf(env: Readonly<Record<string, string>>): string | undefined {
  return env[MARK] === undefined ? undefined : `${MARK}=${env[MARK]}`;
}

/** The settings that may change while a copy runs. @throws Failure as renderProcess. */
export function renderLive(
  process: ProcessConfig,
  copy: Copy,
  around: Source,
): LiveSettings {
  const values = templateValues(process.id, copy, around);
  const hook = (name: "quiet_command" | "drain_command" | "stop_command") => {
    const command = process.lifecycle[name];
    if (command === undefined) return undefined;
    return rendered(ownerOf(process), `lifecycle.${name}`, command, values);
  };
  return {
    stop_signal: process.stop_signal,
    graceful_stop: process.graceful_stop,
    lifecycle: {
      quiet_command: hook("quiet_command"),
      drain_command: hook("drain_command"),
      drain_timeout: process.lifecycle.drain_timeout,
      stop_command: hook("stop_command"),
    },
    restart: process.restart,
    memory: process.memory,
    probe: probeOf(process, copy, around.config, values),
    output_lines: process.output_lines,
  };
}

function probeOf(
  process: ProcessConfig,
  copy: Copy,
  config: Config,
  values: TemplateValues,
): ProbeSpec {
  const health: HealthConfig = process.health;
  if (health.kind === "none" || copy.port === undefined) return { kind: "none" };
  return {
    kind: health.kind,
    host: upstreamHost(config),
    port: copy.port,
    path: health.kind === "http"
      ? rendered(ownerOf(process), "health.path", health.path, values)
      : "",
    timeout: health.timeout,
    interval: health.interval,
    attempt_timeout: health.attempt_timeout,
    start_delay: health.start_delay,
  };
}

/** Whose value is rendered: its id, and the section of the file that describes it. */
export interface Owner {
  id: string;
  section: string;
}

function ownerOf({ id }: ProcessConfig): Owner {
  return { id, section: `processes.${id}` };
}

/**
 * @param field where it stands in the section
 * @throws Failure naming variable and field when one has no value
 */
export function rendered(
  { id, section }: Owner,
  field: string,
  value: string,
  values: TemplateValues,
): string {
  const result = render(value, values);
  if (result.missing === undefined) return result.text;
  const names = result.missing.map((name) => `{{${name}}}`).join(", ");
  throw new Failure(`cannot start "${id}": ${names} in ${section}.${field} has no value`, {
    fix: result.missing.some((name) => name.startsWith("env."))
      ? "set the variable in the environment of the daemon, or with --dotenv"
      : "give the process it refers to a port, or take the variable out",
    detail: { process: id, field, missing: result.missing },
  });
}

/** What templates of a copy may name. `id`: that of its process or pool. */
export function templateValues(
  id: string,
  copy: Copy,
  { config, release, env, ports }: Source,
): TemplateValues {
  const values = new Map<string, string>([
    ["release_path", release.release_path],
    ["release_id", release.release_id],
    ["revision", release.revision],
    ["application", config.application],
    ["process_id", id],
    ["replica_index", String(copy.index)],
    ["replica_count", String(copy.count)],
    ["proxy.upstream_host", upstreamHost(config)],
  ]);
  if (config.proxy !== undefined) {
    values.set("proxy.host", config.proxy.address.host);
    values.set("proxy.port", String(config.proxy.address.port));
  }
  if (copy.port !== undefined) values.set("port", String(copy.port));
  for (const [name, port] of ports) values.set(`ports.${name}`, String(port));
  for (const [name, value] of Object.entries(env)) values.set(`env.${name}`, value);
  return values;
}

/** What a program that runs as somebody else is told of who it is. */
export function identityEnv(identity: Identity | undefined): Record<string, string> {
  if (identity === undefined) return {};
  const { home, user } = identity;
  return { HOME: home, USER: user, LOGNAME: user };
}

/** The variables by which every program of ours knows where it belongs. */
export function injected(
  id: string,
  copy: Copy,
  { config, release, ports }: Source,
): Record<string, string> {
  const vars: Record<string, string> = {
    SUPERVISOR_APPLICATION: config.application,
    SUPERVISOR_PROCESS_ID: id,
    SUPERVISOR_RELEASE_ID: release.release_id,
    SUPERVISOR_RELEASE_PATH: release.release_path,
    SUPERVISOR_REVISION: release.revision,
    SUPERVISOR_REPLICA_INDEX: String(copy.index),
    SUPERVISOR_REPLICA_COUNT: String(copy.count),
  };
  for (const [name, port] of ports) vars[`SUPERVISOR_${envName(name)}_PORT`] = String(port);
  if (copy.port !== undefined) vars.SUPERVISOR_PORT = String(copy.port);
  return vars;
}

/** `background-jobs.main` → `BACKGROUND_JOBS_MAIN`. */
function envName(id: string): string {
  return id.replace(/[^A-Za-z0-9]+/g, "_").toUpperCase();
}
