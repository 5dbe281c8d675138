/**
 * What PHP clients may ask of the daemon, over the same operations that operators use.
 *
 * Invariant: a reset or another number of workers takes its turn like everything that changes
 * something; looking does not.
 */

import type { AppLogLevel, Health, RpcHost } from "../control/rpc/mod.ts";
import type { AppMetrics } from "../control/rpc/host.ts";
import { configuredPools } from "../config/roadrunner/pools.ts";
import { Failure } from "../core/failure.ts";
import { poolsNamed, resetPools, scalePool } from "../release/pool_work.ts";
import type { Context } from "./context.ts";
import { workerHealth } from "./health.ts";
import type { Services } from "./services.ts";

/** @param metrics undefined: they are off, now */
export function rpcHost(
  context: Context,
  services: Services,
  metrics: () => AppMetrics | undefined,
): RpcHost {
  const { fleet, turn } = context;

  const plugins = () => [
    ...new Set(configuredPools(context.config).map(({ plugin }) => plugin)),
  ];
  const live = (plugin: string) =>
    fleet.active?.pools.filter((pool) => pool.plugin === plugin) ?? [];

  /** One worker more or less in the plugin's first pool, as RoadRunner, which has one. */
  async function grow(plugin: string, by: 1 | -1): Promise<void> {
    const pool = live(plugin).at(0);
    if (pool === undefined) throw new Failure(`no pool of "${plugin}" is running`);
    await turn.run(`scale ${pool.name}`, async (signal) => {
      const { target } = pool.snapshot();
      if (target + by >= 1) await scalePool(fleet, pool.name, target + by, signal);
    });
  }

  return {
    config: () => context.config.sections,
    plugins,
    workers(plugin) {
      if (!plugins().includes(plugin)) return undefined;
      return live(plugin).flatMap((pool) => pool.workers());
    },
    async reset(plugin) {
      poolsNamed(fleet, plugin);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const answer = () => resolve();
      // Who asks may be the very worker that this, or what it would wait for, has to wait for. What fails
      // after the answer is told by the event `pool_reset`.
      turn.run(`reset ${plugin}`, (signal) => resetPools(fleet, plugin, signal, answer), answer)
        .then(answer, reject);
      await promise;
    },
    addWorker: (plugin) => grow(plugin, 1),
    removeWorker: (plugin) => grow(plugin, -1),
    health: (plugin, question): Health | undefined =>
      plugins().includes(plugin) ? workerHealth(context, plugin, question) : undefined,
    get services() {
      return context.config.sections.service === undefined ? undefined : services;
    },
    get metrics() {
      return metrics();
    },
    log(level: AppLogLevel, message: string, attributes: Record<string, string>) {
      context.emit("app_log", { level, message, attributes });
    },
  };
}
