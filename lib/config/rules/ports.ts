/**
 * Rules about ports: enough of them for two releases side by side, and none wanted twice.
 *
 * Invariant: an error only for what cannot work at all; what works until a certain moment (a fixed
 * port at the next deploy, overlapping ranges when they fill up) is a warning.
 */

import type { PortRange, ProcessConfig } from "../config.ts";
import { error, type Problem, warning } from "../problem.ts";
import type { RuleContext } from "./context.ts";
import type { Path } from "../tree.ts";

/** Releases that run at the same time during a deploy. */
const OVERLAPPING_RELEASES = 2;

/** Ports suggested beyond a fixed one. */
const SUGGESTED_PORTS = 100;

interface WithPort extends ProcessConfig {
  port: PortRange;
}

/** All rules about ports. */
export function portRules({ config }: RuleContext): Problem[] {
  const all = config.processes.filter((process): process is WithPort => process.port !== undefined);
  const problems = all.flatMap((process) => enoughPorts(process));
  // 0 lets the system choose, which never chooses a port in use.
  const chosen = all.filter(({ port }) => port.from > 0);
  for (const [i, process] of chosen.entries()) {
    for (const other of chosen.slice(0, i)) problems.push(...clash(process, other));
    if (config.proxy !== undefined) problems.push(...clashWithProxy(process, config.proxy));
  }
  return [...problems, ...sameVariable(config.processes)];
}

function at({ id }: ProcessConfig): Path {
  return ["processes", id, "port"];
}

function isFixed({ from, to }: PortRange): boolean {
  return from === to;
}

function shown({ from, to }: PortRange): string {
  return from === to ? String(from) : `${from}-${to}`;
}

/** A range that begins where the old one does; not beyond the last port. */
function rangeOf(from: number, count: number): string {
  const start = Math.min(from, 65536 - count);
  return `${start}-${start + count - 1}`;
}

function enoughPorts(process: WithPort): Problem[] {
  const { id, policy, port, replicas } = process;
  if (port.from === 0) return [];
  const name = `processes.${id}.port`;
  const count = port.to - port.from + 1;
  if (policy === "service" && process.deploy_strategy === "handoff" && isFixed(port)) {
    const message = `${name} is the single port ${port.from}, but handoff runs two at a time`;
    return [error(at(process), message, `write ${rangeOf(port.from, 2)} or wider, or 0`)];
  }
  if (policy !== "proxied" && policy !== "companion") return [];
  const needed = replicas * OVERLAPPING_RELEASES;
  if (isFixed(port)) {
    const range = rangeOf(port.from, Math.max(needed, SUGGESTED_PORTS));
    if (replicas > 1) {
      const message = `${name} is the single port ${port.from}, but there are ${replicas} replicas`;
      return [error(at(process), message, `write a range, e.g. ${range}, or 0`)];
    }
    const message =
      `${name} is the single port ${port.from}: a redeploy is refused while the old release holds it`;
    return [warning(at(process), message, `give a range, e.g. ${range}, or 0`)];
  }
  if (count >= needed) return [];
  const message = `${name} is too small for the overlap of two releases: it has ${count} ports, ` +
    `${replicas} ${replicas === 1 ? "replica needs" : "replicas need"} ${needed}`;
  return [error(at(process), message, `write ${rangeOf(port.from, needed)} or wider, or 0`)];
}

function clash(process: WithPort, other: WithPort): Problem[] {
  const { port } = process;
  if (port.to < other.port.from || other.port.to < port.from) return [];
  if (isFixed(port) && isFixed(other.port)) {
    const message = `processes.${process.id}.port ${port.from} is also the port of ${other.id}`;
    return [error(at(process), message, "give it another port")];
  }
  const message = `processes.${process.id}.port ${shown(port)} overlaps ${
    shown(other.port)
  } of ${other.id}`;
  return [warning(at(process), message, "give each its own range, so that neither runs out")];
}

function clashWithProxy(
  process: WithPort,
  proxy: { address: { host: string; port: number } },
): Problem[] {
  const { port } = process;
  const publicPort = proxy.address.port;
  if (publicPort < port.from || publicPort > port.to) return [];
  const name = `processes.${process.id}.port`;
  if (isFixed(port)) {
    const message = `${name} ${publicPort} is the port of proxy.address`;
    return [error(at(process), message, "give it another port, or 0")];
  }
  const message = `${name} ${shown(port)} contains ${publicPort}, the port of proxy.address`;
  return [warning(at(process), message, "move the range")];
}

/** `a-b` and `a_b` would both be told to others as SUPERVISOR_A_B_PORT. */
function sameVariable(processes: readonly ProcessConfig[]): Problem[] {
  const seen = new Map<string, string>();
  const problems: Problem[] = [];
  for (const process of processes) {
    if (process.port === undefined) continue;
    const variable = `SUPERVISOR_${process.id.replace(/[^A-Za-z0-9]+/g, "_").toUpperCase()}_PORT`;
    const other = seen.get(variable);
    seen.set(variable, process.id);
    if (other === undefined) continue;
    const message = `processes.${process.id} and ${other} share the variable ${variable}`;
    const fix = "rename one of them";
    problems.push(warning(["processes", process.id], message, fix, "key"));
  }
  return problems;
}
