/**
 * Generation `initial`: the worker pools before any deploy, in the directory of the configuration file,
 * and the programs of RoadRunner's `service` section beside them.
 *
 * A later generation of it (a reload) has the same lineage.
 *
 * Invariant: it is never remembered and never rolled back to: it is what runs when nothing else was
 * deployed.
 */

import type { Config } from "../config/config.ts";
import { configuredPools } from "../config/roadrunner/pools.ts";
import { serverOf } from "../config/roadrunner/server.ts";
import type { ReleaseRecord } from "./types.ts";
import { needsRelease } from "./render_worker.ts";

/** Its id, as far as no deploy took that name. */
export const INITIAL = "initial";

/** Its lineage: a name that no deploy can have. */
export const INITIAL_LINEAGE = "(initial)";

/** Whether a release is generation `initial`, or a later generation of it. */
export function isInitial({ lineage }: ReleaseRecord): boolean {
  return lineage === INITIAL_LINEAGE;
}

/** The part of a configuration that runs without a deploy. */
export function initialConfig(config: Config): Config {
  const processes = config.processes.filter((process) => process.origin === "service");
  return { ...config, processes };
}

/** Whether something runs before the first deploy. */
export function hasInitial(config: Config): boolean {
  if (initialConfig(config).processes.length > 0) return true;
  const pools = configuredPools(config);
  const commands = pools.map(({ settings }) => settings.command);
  return pools.length > 0 && !needsRelease(config, serverOf(config), commands);
}
