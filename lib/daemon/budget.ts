/**
 * How long a start and an end of the daemon may take, for whoever waits for them (systemd).
 *
 * Invariant: pure; never less than what the configuration allows its programs, when nobody hurries.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import { ofRelease } from "../release/release.ts";

/** A program that may take as long as it likes is taken to need a day. */
const INDEFINITE = 24 * 3_600_000;

/** Steps of the stop ladder that `graceful_stop` bounds: quiet, stop command, the wait. */
const GRACEFUL_STEPS = 3;

/** What the kernel gets to take the killed away. */
const KILL = 5_000;

/** Milliseconds until everything is proven: one after the other in the worst case. */
export function startBudget(config: Config): number {
  return config.processes.reduce(
    (sum, { health }) => health.kind === "none" ? sum : sum + health.start_delay + health.timeout,
    0,
  );
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
  return tiers.reduce((sum, tier) => sum + longest(tier), config.proxy?.drain_timeout ?? 0);
}

function ladder({ graceful_stop, lifecycle }: ProcessConfig): number {
  if (graceful_stop === "indefinite") return INDEFINITE;
  return lifecycle.drain_timeout + GRACEFUL_STEPS * graceful_stop + KILL;
}
