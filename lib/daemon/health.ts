/**
 * How worker plugins are, for whoever routes traffic by it: the status address and PHP clients.
 *
 * | question | yes when                                                        |
 * | -------- | --------------------------------------------------------------- |
 * | alive    | at least one worker of each pool lives                          |
 * | ready    | at least one worker of each pool is free, and we do not drain   |
 *
 * Invariant: a pure read.
 */

import { statusOf } from "../config/roadrunner/mod.ts";
import type { Health } from "../control/rpc/mod.ts";
import type { Context } from "./context.ts";

const OK = 200;
/** When no status section says another. */
const UNAVAILABLE = 503;

/** How a plugin is. It has a section; whether it has pools is up to the live release. */
export function workerHealth(
  { config, fleet, state }: Context,
  plugin: string,
  question: "alive" | "ready",
): Health {
  const bad = (message: string): Health => ({
    code: statusOf(config)?.unavailable_status_code ?? UNAVAILABLE,
    message,
  });
  const pools = fleet.active?.pools.filter((pool) => pool.plugin === plugin) ?? [];
  if (question === "ready" && state === "stopping") return bad("the daemon is draining");
  if (pools.length === 0) return bad(`nothing of "${plugin}" is live`);
  for (const pool of pools) {
    if (pool.alive === 0) return bad(`no worker of "${pool.name}" is alive`);
    if (question === "ready" && pool.snapshot().idle === 0) {
      return bad(`all workers of "${pool.name}" are busy`);
    }
  }
  return { code: OK, message: "" };
}
