/**
 * How long a start and an end of the daemon may take, for whoever waits for them (systemd).
 *
 * Invariant: pure; never less than what the configuration allows its programs, when nobody hurries.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import { configuredPools } from "../config/roadrunner/pools.ts";
import { serverOf } from "../config/roadrunner/mod.ts";
import { WORKER_SECTIONS } from "../config/sections.ts";
import { ofRelease } from "../release/release.ts";

/** A program that may take as long as it likes is taken to need a day. */
const INDEFINITE = 24 * 3_600_000;

/** Steps of the stop ladder that `graceful_stop` bounds: quiet, stop command, the wait. */
const GRACEFUL_STEPS = 3;

/** What the kernel gets to take the killed away. */
const KILL = 5_000;

/** What a worker may take that neither heeds the stop frame nor SIGTERM. */
const WORKER = 20_000 + KILL;

/** Milliseconds until everything is proven: one after the other in the worst case. */
export function startBudget(config: Config): number {
  const programs = config.processes.reduce(
    (sum, { health }) => health.kind === "none" ? sum : sum + health.start_delay + health.timeout,
    0,
  );
  const pools = configuredPools(config).map(({ settings }) => settings.allocate_timeout);
  const prepared = pools.length === 0 ? 0 : serverOf(config).on_init?.exec_timeout ?? 0;
  return programs + prepared + Math.max(0, ...pools);
}

/** Milliseconds until everything is stopped: the drain, then what stops side by side. */
export function stopBudget(config: Config): number {
  const tiers: ((config: ProcessConfig) => boolean)[] = [
    (process) => ofRelease(process) && process.policy !== "service",
    (process) => process.policy === "singleton",
    (process) => ofRelease(process) && process.policy === "service",
    (process) => !ofRelease(process) && process.policy === "service",
  ];
  const longest = (tier: (config: ProcessConfig) => boolean) =>
    Math.max(0, ...config.processes.filter(tier).map(ladder));
  const workers = configuredPools(config).map(({ settings }) => settings.destroy_timeout + WORKER);
  // Workers stop beside the programs of the first tier.
  const first = Math.max(longest(tiers[0]), ...workers);
  return tiers.slice(1).reduce((sum, tier) => sum + longest(tier), drainBudget(config) + first);
}

/** The longest that work in flight may take. */
function drainBudget({ proxy, sections }: Config): number {
  const workers = WORKER_SECTIONS.map((name) =>
    (sections[name] as { drain_timeout?: number } | undefined)?.drain_timeout ?? 0
  );
  return Math.max(proxy?.drain_timeout ?? 0, ...workers);
}

function ladder({ graceful_stop, lifecycle }: ProcessConfig): number {
  if (graceful_stop === "indefinite") return INDEFINITE;
  return lifecycle.drain_timeout + GRACEFUL_STEPS * graceful_stop + KILL;
}
