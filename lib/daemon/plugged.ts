/**
 * The intakes of plugins, and the pools behind them.
 *
 * Invariant: everything is constructed here and nothing is started.
 */

import type { JobsEngine } from "../../plugins/jobs/engine.ts";
import { plugins } from "../../plugins/registry.ts";
import type { Config } from "../config/config.ts";
import { relayDoors } from "../goridge/relay_doors.ts";
import type { RpcTable } from "../goridge/rpc.ts";
import { openPool } from "../pool/pool.ts";
import type { Ground } from "../release/ground.ts";
import type { Intake } from "../release/intake.ts";
import { Pools, type PoolsHost } from "../release/pools.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** What is plugged in. */
export interface Plugged {
  // deno-lint-ignore no-explicit-any -- intakes of different generations stand side by side
  readonly intakes: readonly Intake<any>[];
  /** What plugins offer to PHP clients. */
  readonly tables: readonly RpcTable[];
  /** The pipelines of jobs; undefined: no plugin has such. */
  readonly queues: JobsEngine | undefined;
}

/** @param host what pools ask of the daemon (the RPC address, counts set by hand), and where its state is */
export function plugIn(
  ground: Ground,
  config: Config,
  metrics: Metrics,
  host: Pick<PoolsHost, "rpc" | "count"> & { state_dir: string },
): Plugged {
  const { clock, emit, system, signal } = ground;
  const { state_dir, rpc, count } = host;
  const doors = relayDoors({ clock, emit });
  const pools = new Pools(ground, { doors, open: openPool, rpc, count });
  const all = plugins.map((plugin) => ({
    plugin,
    intake: plugin.create({
      system,
      clock,
      emit,
      metrics,
      config,
      state_dir,
      signal,
      pool: (order, release, signal) => pools.open(order, release, signal),
    }),
  }));
  return {
    intakes: all.map(({ intake }) => intake),
    tables: all.flatMap(({ plugin, intake }) => {
      const table = plugin.rpc?.(intake);
      return table === undefined ? [] : [table];
    }),
    queues: all.map(({ plugin, intake }) => plugin.queues?.(intake)).find((one) =>
      one !== undefined
    ),
  };
}
