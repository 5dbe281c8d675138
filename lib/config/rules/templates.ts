/**
 * Rules about `{{…}}`: every name is one that will have a value.
 *
 * Invariant: what passes here can only miss a value that nobody knows yet: a variable of the
 * environment.
 */

import { nearest } from "../../core/suggest.ts";
import { placeholders } from "../../core/template.ts";
import type { Config, ProcessConfig } from "../config.ts";
import { error, type Problem } from "../problem.ts";
import { serverOf } from "../roadrunner/of.ts";
import { configuredPools } from "../roadrunner/pools.ts";
import { nearestNode, type Path } from "../tree.ts";
import { isSound, isWritten, placeOf, type RuleContext } from "./context.ts";

/** Names that always have a value. */
const ALWAYS = [
  "release_path",
  "release_id",
  "revision",
  "application",
  "process_id",
  "replica_index",
  "replica_count",
] as const;

/** Names that have one when there is a proxy. */
const OF_PROXY = ["proxy.host", "proxy.port", "proxy.upstream_host"] as const;

/** All rules about templates. */
export function templateRules(context: RuleContext): Problem[] {
  const { config } = context;
  const problems = [
    ...config.processes.flatMap((process) =>
      texts(process).flatMap(([path, text]) =>
        placeholders(text).flatMap((name) =>
          unknown(name, placeOfText(process, path, context), process, context)
        )
      )
    ),
    ...workerTexts(config).flatMap(([path, text]) =>
      placeholders(text).flatMap((name) =>
        unknown(name, nearestNode(context.written, path).path, "workers", context)
      )
    ),
  ];
  const path = ["proxy", "health", "path"];
  if (config.proxy === undefined || !isSound(context, path)) return problems;
  const proxied = config.processes.find((process) => process.policy === "proxied");
  const names = placeholders(config.proxy.health.path);
  return [...problems, ...names.flatMap((name) => unknown(name, path, proxied, context))];
}

/** The templated texts of a process by place. */
function texts(process: ProcessConfig): [Path, string][] {
  const { command, cwd, env, lifecycle, health } = process;
  const found: [Path, string | undefined][] = [
    ...wordsAt(["command"], command),
    [["cwd"], cwd],
    ...valuesAt(["env"], env),
    [["lifecycle", "quiet_command"], lifecycle.quiet_command],
    [["lifecycle", "drain_command"], lifecycle.drain_command],
    [["lifecycle", "stop_command"], lifecycle.stop_command],
    [["health", "path"], health.kind === "http" ? health.path : undefined],
  ];
  return found.filter((entry): entry is [Path, string] => entry[1] !== undefined);
}

/** Where a text of a process is written. Services are not written as the processes they become. */
function placeOfText(process: ProcessConfig, path: Path, { written }: RuleContext): Path {
  const whole = [...placeOf(process), ...path];
  return process.origin === undefined ? whole : nearestNode(written, whole).path;
}

/** The templated texts of what worker pools run. */
function workerTexts(config: Config): [Path, string][] {
  const { command, env, on_init } = serverOf(config);
  return [
    ...wordsAt(["server", "command"], command),
    ...valuesAt(["server", "env"], env),
    ...wordsAt(["server", "on_init", "command"], on_init?.command),
    ...valuesAt(["server", "on_init", "env"], on_init?.env ?? {}),
    ...configuredPools(config).flatMap(({ field, settings }) =>
      wordsAt([...field.split("."), "command"], settings.command)
    ),
  ];
}

function wordsAt(path: Path, command: string | string[] | undefined): [Path, string][] {
  if (typeof command === "string") return [[path, command]];
  return (command ?? []).map((word, i) => [[...path, String(i)], word]);
}

function valuesAt(path: Path, env: Record<string, string>): [Path, string][] {
  return Object.entries(env).map(([key, value]) => [[...path, key], value]);
}

function unknown(
  name: string,
  path: Path,
  process: ProcessConfig | "workers" | undefined,
  context: RuleContext,
): Problem[] {
  const { config } = context;
  // An inherited health path is checked where it is written.
  if (!isSound(context, path)) return [];
  const say = (message: string, fix: string) => [error(path, message, fix, { text: name })];
  if ((ALWAYS as readonly string[]).includes(name)) return [];
  if (/^env\../.test(name)) return [];
  if (name === "port") {
    if (process === "workers") {
      return say("{{port}} has no value: workers have no port", "remove it");
    }
    if (process === undefined) return [];
    const place = placeOf(process);
    if (isWritten(context, [...place, "port"])) return [];
    return say(`{{port}} has no value: ${place.join(".")} has no port`, "add a port to it");
  }
  if ((OF_PROXY as readonly string[]).includes(name)) {
    if (config.proxy !== undefined || isWritten(context, ["proxy"])) return [];
    return say(`{{${name}}} has no value: there is no proxy`, "add a proxy section");
  }
  if (name.startsWith("ports.")) return unknownPort(name, context, say);
  const near = nearest(name, allNames(config));
  const fix = near === undefined
    ? `use one of: ${[...ALWAYS, "port", "ports.ID", "env.NAME"].join(", ")}`
    : `did you mean {{${near}}}?`;
  return say(`there is no template variable {{${name}}}`, fix);
}

function unknownPort(
  name: string,
  context: RuleContext,
  say: (message: string, fix: string) => Problem[],
): Problem[] {
  const id = name.slice("ports.".length);
  if (isWritten(context, ["processes", id, "port"])) return [];
  if (context.declared.includes(id)) {
    return say(`{{${name}}} has no value: processes.${id} has no port`, `add a port to ${id}`);
  }
  const near = nearest(id, context.declared);
  const list = context.declared.map((other) => `ports.${other}`).join(", ");
  const fix = near === undefined ? `use one of: ${list}` : `did you mean {{ports.${near}}}?`;
  return say(`{{${name}}} names no process`, fix);
}

function allNames({ processes }: Config): string[] {
  const ports = processes.filter(({ port }) => port !== undefined).map(({ id }) => `ports.${id}`);
  return [...ALWAYS, ...OF_PROXY, "port", ...ports];
}
