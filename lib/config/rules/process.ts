/**
 * Rules within one process: which keys go together, and with which policy.
 *
 * Invariant: what passes can be started, stopped and drained as it says.
 */

import type { ProcessConfig } from "../config.ts";
import { error, type Problem, warning } from "../problem.ts";
import type { Path } from "../tree.ts";
import { isSound, isWritten, type RuleContext } from "./context.ts";

/** All rules within one process. */
export function processRules(process: ProcessConfig, context: RuleContext): Problem[] {
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
  if (process.deploy_strategy === "handoff" && policy === "service" && !hasPort) {
    const message = `${name} is handed over from release to release but has no port`;
    const fix = "add port: 0 or a range, so that two can run side by side";
    problems.push(error(at("deploy_strategy"), message, fix));
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
