/**
 * How forwarding and worker plugins are, for whoever routes traffic by it: the status address and PHP clients.
 *
 * | question | yes when                                                        |
 * | -------- | --------------------------------------------------------------- |
 * | alive    | at least one worker of each pool lives                          |
 * | ready    | at least one worker of each pool is free, we do not drain, and  |
 * |          | everything that the plugin needs of others can be reached       |
 *
 * Invariant: a pure read.
 */

import type { Config } from "../config/config.ts";
import { configuredPools } from "../config/roadrunner/pools.ts";
import { statusOf } from "../config/roadrunner/mod.ts";
import type { Health } from "../control/rpc/mod.ts";
import type { StatusHost } from "../control/status_address.ts";
import type { Context } from "./context.ts";
import { roadRunnerStates } from "./jobs_operations.ts";

const OK = 200;
/** Forwarding, as load balancers call it. */
const PROXY = "proxy";

/** When no status section says another. */
const UNAVAILABLE = 503;

/** How a plugin is. It has a section; whether it has pools is up to the live release. */
export function workerHealth(
  { config, fleet, state }: Context,
  plugin: string,
  question: "alive" | "ready",
): Health {
  const bad = (message: string): Health => ({ code: unavailable(config), message });
  const pools = fleet.active?.pools.filter((pool) => pool.plugin === plugin) ?? [];
  if (question === "ready" && state === "stopping") return bad("the daemon is draining");
  const out = question === "ready" ? unreachable(fleet, plugin) : undefined;
  if (out !== undefined) return bad(out);
  if (pools.length === 0) return bad(`nothing of "${plugin}" is live`);
  for (const pool of pools) {
    if (pool.alive === 0) return bad(`no worker of "${pool.name}" is alive`);
    if (question === "ready" && pool.snapshot().idle === 0) {
      return bad(`all workers of "${pool.name}" are busy`);
    }
  }
  return { code: OK, message: "" };
}

/** What a plugin needs of others and cannot reach, in one sentence; undefined: nothing. */
function unreachable({ intakes }: Context["fleet"], plugin: string): string | undefined {
  const all = intakes.map((intake) => intake.snapshot())
    .find(({ name }) => name === plugin)?.unreachable ?? [];
  if (all.length === 0) return undefined;
  return all.map(({ name, error, next_try_at }) => {
    const next = next_try_at === undefined ? "" : `, next try at ${next_try_at}`;
    return `${name} cannot be reached: ${error}${next}`;
  }).join("; ");
}

/** What the status address asks of the daemon. */
export function statusHost(context: Context): StatusHost {
  const plugins = () => {
    const names = configuredPools(context.config).map(({ plugin }) => plugin);
    return [...new Set([...(context.config.proxy === undefined ? [] : [PROXY]), ...names])];
  };
  return {
    get state() {
      return context.state;
    },
    plugins,
    jobs: () => roadRunnerStates(context),
    health(plugin, question) {
      if (!plugins().includes(plugin)) return undefined;
      return plugin === PROXY ? proxyHealth(context) : workerHealth(context, plugin, question);
    },
  };
}

/** Forwarding is well when a program of the live release can be asked. */
function proxyHealth({ config, fleet }: Context): Health {
  const ready = fleet.active?.upstreams.list().some((upstream) => upstream.ready) ?? false;
  return ready
    ? { code: OK, message: "" }
    : { code: unavailable(config), message: "no program is ready to answer" };
}

function unavailable(config: Config): number {
  return statusOf(config)?.unavailable_status_code ?? UNAVAILABLE;
}
