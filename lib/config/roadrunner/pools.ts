/**
 * The worker pools of a configuration, whatever section they stand in.
 *
 * Invariant: a pool's name is that of its section, `http`, and with named pools `jobs.mail`; it is
 * what `scale`, `workers` and the logs call it.
 */

import type { Config } from "../config.ts";
import { WORKER_SECTIONS } from "../sections.ts";
import type { PoolSettings } from "./pool.ts";

/** A pool as configured. */
export interface ConfiguredPool {
  name: string;
  /** The section. */
  plugin: string;
  /** Where its settings stand: `http.pool`, `jobs.pools.mail`. */
  field: string;
  settings: PoolSettings & { command?: string | string[] };
}

/** What every worker section has: one pool, or several by name. */
interface WorkerSection {
  pool?: ConfiguredPool["settings"];
  pools?: Record<string, ConfiguredPool["settings"]>;
}

/** All pools, in the order of the sections. */
export function configuredPools({ sections }: Pick<Config, "sections">): ConfiguredPool[] {
  return WORKER_SECTIONS.flatMap((plugin): ConfiguredPool[] => {
    const { pool, pools } = (sections[plugin] ?? {}) as WorkerSection;
    const named = Object.entries(pools ?? {}).map(([name, settings]) => ({
      name: `${plugin}.${name}`,
      plugin,
      field: `${plugin}.pools.${name}`,
      settings,
    }));
    if (named.length > 0 || pool === undefined) return named;
    return [{ name: plugin, plugin, field: `${plugin}.pool`, settings: pool }];
  });
}
