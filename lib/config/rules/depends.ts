/**
 * Rules about depends_on: the others exist, there is no circle, and the order can happen at all.
 *
 * A deploy starts services, then companions and proxied processes, switches, and replaces singletons
 * last; services outlive releases. So:
 *
 * | depends on →        | service | companion, proxied | singleton |
 * | ------------------- | ------- | ------------------ | --------- |
 * | service             | yes     | no                 | no        |
 * | companion, proxied  | yes     | yes                | no        |
 * | singleton           | yes     | yes                | yes       |
 *
 * Invariant: a configuration that passes has at least one order in which everything starts.
 */

import { nearest } from "../../core/suggest.ts";
import type { Policy, ProcessConfig } from "../config.ts";
import { error, type Problem, warning } from "../problem.ts";
import { isBroken, type RuleContext } from "./context.ts";
import type { Path } from "../tree.ts";

/** When a policy is started during a deploy. */
const TURN: Record<Policy, number> = { service: 0, companion: 1, proxied: 1, singleton: 2 };

/** All rules about dependencies. */
export function dependencyRules(context: RuleContext): Problem[] {
  const { config } = context;
  const byId = new Map(config.processes.map((process) => [process.id, process]));
  const single = config.processes.flatMap((process) =>
    Object.entries(process.depends_on).flatMap(([id, state]) =>
      dependency(process, id, state, byId.get(id), context)
    )
  );
  return [...single, ...circles(config.processes, byId)];
}

function at(process: ProcessConfig, id: string): Path {
  return ["processes", process.id, "depends_on", id];
}

function dependency(
  process: ProcessConfig,
  id: string,
  state: "started" | "healthy",
  target: ProcessConfig | undefined,
  context: RuleContext,
): Problem[] {
  const { declared } = context;
  const field = `processes.${process.id}.depends_on`;
  const path = at(process, id);
  if (id === process.id) {
    return [error(path, `${field} names the process itself`, "remove the entry", "key")];
  }
  if (target === undefined) {
    // Declared but broken: its own mistakes are being told.
    if (declared.includes(id)) return [];
    const others = declared.filter((other) => other !== process.id);
    const near = nearest(id, others);
    const fix = near !== undefined
      ? `did you mean "${near}"?`
      : others.length > 0
      ? `name one of: ${others.join(", ")}`
      : "remove the entry";
    return [error(path, `${field}: there is no process "${id}"`, fix, "key")];
  }
  const unsure = (id: string, key: string) => isBroken(context, ["processes", id, key]);
  if (unsure(id, "policy") || unsure(process.id, "policy")) return [];
  if (TURN[target.policy] > TURN[process.policy]) return [impossible(path, process, target)];
  if (state === "healthy" && target.health.kind === "none" && !unsure(id, "health")) {
    const message = `${field}: ${id} has no health check, so healthy means started`;
    return [warning(path, message, `give ${id} a health check, or write started`)];
  }
  return [];
}

function impossible(path: Path, process: ProcessConfig, target: ProcessConfig): Problem {
  const message =
    `the ${process.policy} ${process.id} cannot depend on the ${target.policy} ${target.id}`;
  const why = target.policy === "singleton"
    ? "singletons start last, after the switch"
    : "services start first and outlive the release";
  const fix = target.policy === "singleton"
    ? `make ${target.id} a service or companion, or remove the entry`
    : `make ${process.id} a companion, or remove the entry`;
  return error(path, `${message}: ${why}`, fix, "key");
}

/** Every circle once, told at its first member in the order of the file. */
function circles(
  processes: readonly ProcessConfig[],
  byId: ReadonlyMap<string, ProcessConfig>,
): Problem[] {
  const problems: Problem[] = [];
  const done = new Set<string>();
  const chain: string[] = [];
  const visit = (process: ProcessConfig) => {
    chain.push(process.id);
    for (const id of Object.keys(process.depends_on)) {
      const target = byId.get(id);
      if (target === undefined || target === process) continue;
      const start = chain.indexOf(id);
      if (start >= 0) problems.push(circle(chain.slice(start), processes));
      else if (!done.has(id)) visit(target);
    }
    chain.pop();
    done.add(process.id);
  };
  for (const process of processes) if (!done.has(process.id)) visit(process);
  return problems;
}

function circle(ids: readonly string[], processes: readonly ProcessConfig[]): Problem {
  const first = processes.find(({ id }) => ids.includes(id))!.id;
  const start = ids.indexOf(first);
  const turned = [...ids.slice(start), ...ids.slice(0, start), first];
  const path = ["processes", first, "depends_on", turned[1]];
  const message = `depends_on runs in a circle: ${turned.join(" → ")}`;
  return error(path, message, "remove one of these dependencies", "key");
}
