/**
 * How a change of the `jobs` section takes effect.
 *
 * | effect     | what                                                                            |
 * | ---------- | ------------------------------------------------------------------------------- |
 * | live       | limits, priorities, retries, dead letters, `consume`; limits of pools            |
 * | generation | what workers are started from or never change in; pools that come or go; the section itself |
 * | listener   | pipelines that come, go or change what their driver is opened from                        |
 *
 * Invariant: pure; every difference is told once.
 */

import { differences } from "../../lib/config/compare.ts";
import type { Change, Effect } from "../../lib/config/config.ts";
import { own } from "../../lib/core/own.ts";
import { needsNewWorkers } from "../../lib/config/roadrunner/compare.ts";
import { DRIVERS } from "../../lib/config/roadrunner/mod.ts";
import type { JobsConfig, PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";

/** The differences of two values of the section; undefined: it is not there. */
export function compareJobs(old: unknown, next: unknown): Change[] {
  if (old === undefined || next === undefined) {
    if (old === next) return [];
    return [{ field: "jobs", effect: "generation", reason: next ? "added" : "removed" }];
  }
  // Sections of brokers are compared by themselves.
  const { pipelines: before, pools: poolsBefore = {}, brokers: _, ...was } = old as JobsConfig;
  const { pipelines: after, pools: poolsAfter = {}, brokers: __, ...is } = next as JobsConfig;
  return [
    ...namesOf(before, after).flatMap((name) =>
      comparePipeline(name, own(before, name), own(after, name))
    ),
    ...namesOf(poolsBefore, poolsAfter).flatMap((name) =>
      comparePool(`jobs.pools.${name}`, own(poolsBefore, name), own(poolsAfter, name))
    ),
    ...comparePool("jobs.pool", was.pool, is.pool),
    ...differences("jobs", { ...was, pool: 0 }, { ...is, pool: 0 }, () => "live"),
  ];
}

/** Pipelines whose drivers have to be opened. */
export function reopened(old: JobsConfig | undefined, next: JobsConfig): string[] {
  return Object.entries(next.pipelines)
    .filter(([name, is]) =>
      opensAnew(own(old?.pipelines, name), is) ||
      !isSame(old?.brokers[is.driver], next.brokers[is.driver])
    ).map(([name]) => name);
}

function opensAnew(was: PipelineConfig | undefined, is: PipelineConfig): boolean {
  return was?.driver !== is.driver || !isSame(openedFrom(was), openedFrom(is));
}

/** Of `config`: what a driver only looks at when it is opened. */
function openedFrom({ driver, config }: PipelineConfig): object {
  const live = DRIVERS.get(driver)?.live ?? [];
  return Object.fromEntries(Object.entries(config).filter(([key]) => !live.includes(key)));
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function comparePipeline(name: string, was?: PipelineConfig, is?: PipelineConfig): Change[] {
  const field = `jobs.pipelines.${name}`;
  if (was === undefined || is === undefined) {
    return [{ field, effect: "listener", reason: is ? "added" : "removed" }];
  }
  const live = (DRIVERS.get(is.driver)?.live ?? []).map((key) => `${field}.config.${key}`);
  const isOpening = (at: string) =>
    at === `${field}.driver` || (at.startsWith(`${field}.config`) && !live.includes(at));
  return differences(field, was, is, (at) => isOpening(at) ? "listener" : "live");
}

function comparePool(field: string, was: unknown, is: unknown): Change[] {
  const effect = (at: string): Effect =>
    at === field || needsNewWorkers(field, at) ? "generation" : "live";
  return differences(field, was, is, effect, (at) => at === `${field}.command`);
}

function namesOf(a: object, b: object): string[] {
  return [...new Set([...Object.keys(b), ...Object.keys(a)])];
}
