/**
 * What operators do to the worker pools of the live release: reset and scale.
 *
 * Invariant: the pools of a release that is on its way out are left alone; a pool that fails does not
 * keep the others from being done, and each is told.
 */

import { configuredPools } from "../config/roadrunner/pools.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { WorkerPool } from "../pool/contract.ts";
import type { Fleet } from "./fleet.ts";

/** One pool after a reset. */
export interface PoolReset {
  pool: string;
  replaced: number;
  ms: number;
  error?: string;
}

/**
 * Rolls the workers of the chosen pools, new before old, pools side by side.
 *
 * @param name a plugin (`jobs`: all its pools) or a pool (`jobs.mail`); undefined: all
 * @param rested called when only those are left who were busy at the beginning
 * @throws Failure when there is no such pool, or when one could not be rolled (detail: all of them)
 */
export async function resetPools(
  fleet: Fleet,
  name: string | undefined,
  signal: AbortSignal,
  rested = () => {},
): Promise<PoolReset[]> {
  const pools = poolsNamed(fleet, name);
  let left = pools.length;
  const oneRested = () => {
    if (--left === 0) rested();
  };
  const done = await Promise.all(pools.map((pool) => resetOne(fleet, pool, signal, oneRested)));
  const failed = done.filter(({ error }) => error !== undefined);
  if (failed.length === 0) return done;
  const what = failed.map(({ pool, error }) => `"${pool}": ${error}`).join("; ");
  throw new Failure(`not all workers were replaced: ${what}`, {
    fix: "the earlier workers go on; correct the release and reset again",
    detail: { pools: done },
  });
}

async function resetOne(
  { ground: { clock, emit } }: Fleet,
  pool: WorkerPool,
  signal: AbortSignal,
  rested: () => void,
): Promise<PoolReset> {
  const began = clock.now();
  const result: PoolReset = { pool: pool.name, replaced: 0, ms: 0 };
  try {
    result.replaced = await pool.reset(signal, rested);
  } catch (error) {
    result.error = messageOf(error);
  }
  result.ms = Math.round(clock.now() - began);
  const { ms, replaced, error } = result;
  emit("pool_reset", { pool: pool.name, release: pool.release, replaced, ms, error });
  return result;
}

/**
 * Another number of workers for one pool, kept over deploys and restarts until the configured number
 * changes.
 *
 * @returns how many there were; undefined: there is no pool of that name
 * @throws Failure when new workers do not come up
 */
export async function scalePool(
  fleet: Fleet,
  name: string,
  count: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const configured = configuredPools(fleet.config).find((one) => one.name === name);
  if (configured === undefined) return undefined;
  const { debug, num_workers } = configured.settings;
  if (debug) {
    throw new Failure(`the pool "${name}" cannot be scaled: it is in debug mode`, {
      fix: `set ${configured.field}.debug to false and reload`,
    });
  }
  if (count < 1) {
    throw new Failure(`the pool "${name}" cannot have ${count} workers`, {
      fix: "scale it to at least 1; `supervisor stop` ends all work",
    });
  }
  const previous = fleet.poolCount(name, num_workers);
  const pool = fleet.active?.pools.find((one) => one.name === name);
  if (pool !== undefined) await pool.resize(count, signal);
  fleet.setCount({ id: name, replicas: num_workers }, count);
  const release = fleet.active?.release_id;
  if (release !== undefined) {
    fleet.ground.emit("pool_scaled", { pool: name, release, count, previous });
  }
  const unsaved = await fleet.save();
  if (unsaved !== undefined) throw unsaved;
  return previous;
}

/**
 * Pools by plugin or name, those of releases on their way out included.
 * @throws Failure when there is no such pool in the live release
 */
export function poolsShown(fleet: Fleet, name: string | undefined): readonly WorkerPool[] {
  const all = fleet.releases.flatMap((release) => release.pools);
  if (name === undefined) return all;
  const chosen = all.filter((pool) => pool.plugin === name || pool.name === name);
  return chosen.length > 0 ? chosen : poolsNamed(fleet, name);
}

/** Pools of the live release by plugin or name. @throws Failure naming those there are */
export function poolsNamed(fleet: Fleet, name: string | undefined): readonly WorkerPool[] {
  const all = fleet.active?.pools ?? [];
  const chosen = all.filter((pool) =>
    name === undefined || pool.plugin === name || pool.name === name
  );
  if (chosen.length > 0 || (name === undefined && all.length > 0)) return chosen;
  const known = [...new Set(all.flatMap((pool) => [pool.plugin, pool.name]))];
  const what = name === undefined ? "no worker pool" : `no worker pool "${name}"`;
  throw new Failure(`there is ${what} running`, {
    fix: known.length > 0
      ? `pools: ${known.join(", ")}`
      : fleet.active === undefined
      ? "nothing is live: deploy a release first"
      : "the configuration has no http, tcp or jobs section",
  });
}
