/**
 * How a change of the `jobs` section takes effect.
 *
 * | effect     | what                                                                            |
 * | ---------- | ------------------------------------------------------------------------------- |
 * | live       | limits, priorities, retries, dead letters, `consume`; limits of pools            |
 * | generation | what workers are started from or never change in; pools that come or go; the section itself |
 * | listener   | pipelines that come, go or change their driver or file                          |
 *
 * Invariant: pure; every difference is told once.
 */

import { differences } from "../../lib/config/compare.ts";
import type { Change, Effect } from "../../lib/config/config.ts";
import { needsNewWorkers } from "../../lib/config/roadrunner/compare.ts";
import type { JobsConfig, PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";

/** Of `config`: what a driver only looks at when it is opened. */
const OF_OPENING = ["file", "permissions"] as const;

/** The differences of two values of the section; undefined: it is not there. */
export function compareJobs(old: unknown, next: unknown): Change[] {
  if (old === undefined || next === undefined) {
    if (old === next) return [];
    return [{ field: "jobs", effect: "generation", reason: next ? "added" : "removed" }];
  }
  const { pipelines: before, pools: poolsBefore = {}, ...was } = old as JobsConfig;
  const { pipelines: after, pools: poolsAfter = {}, ...is } = next as JobsConfig;
  return [
    ...namesOf(before, after).flatMap((name) => comparePipeline(name, before[name], after[name])),
    ...namesOf(poolsBefore, poolsAfter).flatMap((name) =>
      comparePool(`jobs.pools.${name}`, poolsBefore[name], poolsAfter[name])
    ),
    ...comparePool("jobs.pool", was.pool, is.pool),
    ...differences("jobs", { ...was, pool: 0 }, { ...is, pool: 0 }, () => "live"),
  ];
}

/** Pipelines whose drivers have to be opened. */
export function reopened(old: JobsConfig | undefined, next: JobsConfig): string[] {
  return Object.entries(next.pipelines)
    .filter(([name, is]) => opensAnew(old?.pipelines[name], is)).map(([name]) => name);
}

function opensAnew(was: PipelineConfig | undefined, is: PipelineConfig): boolean {
  return was === undefined || was.driver !== is.driver ||
    OF_OPENING.some((key) => was.config[key] !== is.config[key]);
}

function comparePipeline(name: string, was?: PipelineConfig, is?: PipelineConfig): Change[] {
  const field = `jobs.pipelines.${name}`;
  if (was === undefined || is === undefined) {
    return [{ field, effect: "listener", reason: is ? "added" : "removed" }];
  }
  const opening = [`${field}.driver`, ...OF_OPENING.map((key) => `${field}.config.${key}`)];
  return differences(field, was, is, (at) => opening.includes(at) ? "listener" : "live");
}

function comparePool(field: string, was: unknown, is: unknown): Change[] {
  const effect = (at: string): Effect =>
    at === field || needsNewWorkers(field, at) ? "generation" : "live";
  return differences(field, was, is, effect, (at) => at === `${field}.command`);
}

function namesOf(a: object, b: object): string[] {
  return [...new Set([...Object.keys(b), ...Object.keys(a)])];
}
