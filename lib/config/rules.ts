/**
 * What must hold between keys, where each key for itself is fine.
 *
 * Invariant: rules see what is left of a file after its mistakes were taken out, so a rule never
 * complains about the absence of something that was written (`isWritten`), only badly.
 */

import type { Config, ProcessConfig } from "./config.ts";
import { error, type Problem, warning } from "./problem.ts";
import { dependencyRules } from "./rules_depends.ts";
import { portRules } from "./rules_ports.ts";
import { templateRules } from "./rules_templates.ts";
import { WORKER_SECTIONS } from "./sections.ts";
import { find, type Node, type Path } from "./tree.ts";

/** What rules look at. */
export interface RuleContext {
  config: Config;
  /** The file as written, before expansion. */
  written: Node;
  /** Ids of all processes in the file, broken ones too. */
  declared: readonly string[];
  /** Places that have been complained about: their values are not what was written. */
  broken: readonly Path[];
}

/** Longest path of a Unix socket, in bytes (sun_path without its end). */
const MAX_SOCKET_PATH = 107;

/** Whether the file has a value at `path`, good or bad. */
export function isWritten({ written }: RuleContext, path: Path): boolean {
  const node = find(written, path);
  return node !== undefined && !(node.kind === "scalar" && node.value === null);
}

/** Whether the value at `path` (or part of it) has been complained about. */
export function isBroken({ broken }: RuleContext, path: Path): boolean {
  return broken.some((wrong) =>
    wrong.length > 0 && wrong.every((key, i) => i >= path.length || path[i] === key)
  );
}

/** Whether the value at `path` is what the file says: written, and not complained about. */
export function isSound(context: RuleContext, path: Path): boolean {
  return isWritten(context, path) && !isBroken(context, path);
}

/** All rules. */
export function checkRules(context: RuleContext): Problem[] {
  const { config } = context;
  return [
    ...fileRules(context),
    ...config.processes.flatMap((process) => processRules(process, context)),
    ...portRules(context),
    ...dependencyRules(context),
    ...templateRules(context),
  ];
}

function fileRules(context: RuleContext): Problem[] {
  const { config, declared } = context;
  const problems: Problem[] = [];
  if (!/^3(?:\.\d+)*$/.test(config.version)) {
    const shown = JSON.stringify(config.version);
    const older = /^[12](?:\.\d+)*$/.test(config.version);
    const fix = 'write version: "3"';
    problems.push(
      older
        ? warning(["version"], `version ${shown} is an older format, read as "3"`, fix)
        : error(["version"], `version must be "3", got ${shown}`, fix),
    );
  }
  const works = WORKER_SECTIONS.some((name) => isWritten(context, [name]));
  const processesAreMap = find(context.written, ["processes"])?.kind === "table" ||
    !isWritten(context, ["processes"]);
  if (declared.length === 0 && !works && processesAreMap) {
    const fix = "add `processes:` with at least one process, e.g. `web:` with a command";
    problems.push(error(["processes"], "there is nothing to run", fix, "key"));
  }
  const proxied = config.processes.filter((process) => process.policy === "proxied");
  for (const { id } of proxied.slice(1)) {
    const message = `processes.${id} is a second proxied process beside ${proxied[0].id}`;
    const fix = "make it a companion; for several copies of one program use replicas";
    problems.push(error(["processes", id, "policy"], message, fix));
  }
  const socket = config.control.socket;
  if (socket !== undefined && new TextEncoder().encode(socket).length > MAX_SOCKET_PATH) {
    const message =
      `control.socket is longer than the ${MAX_SOCKET_PATH} bytes a socket path may have`;
    problems.push(error(["control", "socket"], message, "use a shorter path"));
  }
  const legacy = config.legacy_takeover;
  if (legacy !== undefined && legacy.screens.length + legacy.processes.length === 0) {
    const parts = ["screens", "processes"].map((key) => ["legacy_takeover", key]);
    if (!parts.some((path) => isFilled(context, path))) {
      const message = "legacy_takeover names nothing to stop";
      problems.push(
        error(["legacy_takeover"], message, "add screens or processes, or remove it", "key"),
      );
    }
  }
  return problems;
}

function isFilled({ written }: RuleContext, path: Path): boolean {
  const node = find(written, path);
  return node !== undefined && !(node.kind === "list" && node.items.length === 0);
}

function processRules(process: ProcessConfig, context: RuleContext): Problem[] {
  const { id, policy, lifecycle, memory, health, restart } = process;
  const at = (...keys: string[]): Path => ["processes", id, ...keys];
  const name = `processes.${id}`;
  const problems: Problem[] = [];
  const timeout = at("lifecycle", "drain_timeout");
  const hasPort = isWritten(context, at("port"));
  if (policy === "proxied" && !hasPort) {
    const fix = "add port: 0 (any free port) or a range, and give {{port}} to the command";
    problems.push(error(at(), `${name} is proxied but has no port`, fix, "key"));
  }
  if (process.replicas > 1 && (policy === "singleton" || policy === "service")) {
    const message =
      `${name} is a ${policy}, which has one copy, but replicas is ${process.replicas}`;
    const fix = "remove replicas, or make it a companion";
    problems.push(error(at("replicas"), message, fix));
  }
  if (process.non_blocking_drain && policy !== "companion") {
    const message = `${name}.non_blocking_drain is only for companions, this is ${article(policy)}`;
    problems.push(error(at("non_blocking_drain"), message, "remove it"));
  }
  if (process.deploy_strategy === "handoff" && policy !== "service") {
    const message = `${name}.deploy_strategy: handoff is only for services, this is ${
      article(policy)
    }`;
    problems.push(error(at("deploy_strategy"), message, "remove it, or add policy: service"));
  }
  if (lifecycle.stop_command !== undefined && process.stop_signal !== "SIGTERM") {
    const message = `${name} has a stop_command, so its stop_signal would never be sent`;
    problems.push(error(at("stop_signal"), message, "remove one of the two"));
  }
  if (
    lifecycle.drain_command !== undefined && lifecycle.drain_timeout === 0 &&
    (!isWritten(context, timeout) || isSound(context, timeout))
  ) {
    const message = `${name} has a drain_command but no time for it`;
    const fix = "add drain_timeout: 60s beside it";
    problems.push(error(at("lifecycle", "drain_command"), message, fix, "key"));
  }
  if (memory !== undefined && memory.warn >= memory.limit && isSound(context, at("memory"))) {
    const message = `${name}.memory.warn must be below memory.limit`;
    problems.push(error(at("memory", "warn"), message, "lower warn, or raise limit"));
  }
  if (restart.max_delay > 0 && restart.delay > restart.max_delay) {
    const message = `${name}.restart.delay is above max_delay, which cuts it`;
    const key = isWritten(context, at("restart", "delay")) ? "delay" : "max_delay";
    problems.push(warning(at("restart", key), message, "raise max_delay, or lower delay"));
  }
  if (health.kind !== "none" && !hasPort && policy !== "proxied") {
    const message = `${name} has a health check but no port to check`;
    problems.push(error(at("health"), message, "add a port, or remove health", "key"));
  }
  if (health.kind === "tcp" && isWritten(context, at("health", "path"))) {
    const message = `${name}.health has both tcp and path`;
    problems.push(error(at("health", "path"), message, "remove one of the two", "key"));
  }
  if (health.kind === "none" && policy === "proxied") {
    const message = `${name} gets requests as soon as it is started, ready or not`;
    problems.push(warning(at("health"), message, "write health: { tcp: true } at least"));
  }
  return problems;
}

function article(policy: string): string {
  return `a ${policy}${policy === "proxied" ? " process" : ""}`;
}
