/**
 * Names of pipelines that clients say: those they declare, and those that are not there.
 *
 * Invariant: pure; every refusal begins as RoadRunner's does where RoadRunner has the same one.
 */

import type { JobsConfig, PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import { DEFAULT_POOL, readDeclaration } from "../../lib/config/roadrunner/mod.ts";
import { Refusal } from "../../lib/config/names.ts";
import { Failure } from "../../lib/core/failure.ts";
import { nearest } from "../../lib/core/suggest.ts";

/** The pipelines there are. */
type Known = ReadonlyMap<string, { readonly settings: PipelineConfig }>;

/** What a client declares. @throws Failure */
export function declared(values: Readonly<Record<string, string>>) {
  if ((values.driver ?? "") === "") {
    throw new Failure("no associated driver with the pipeline", { fix: "declare it with driver" });
  }
  const read = readDeclaration(values);
  if (!(read instanceof Refusal)) return read;
  throw new Failure(`the pipeline cannot be declared: ${read.message}`, { fix: read.fix });
}

/** @throws Failure when it would have no worker, no dead letters, or another's name */
export function mayDeclare(
  name: string,
  { pool, dead_letter }: PipelineConfig,
  jobs: JobsConfig | undefined,
  all: Known,
): void {
  if (jobs === undefined) {
    throw new Failure(`pipeline ${name} cannot be declared: there is no section jobs`, {
      fix: "write jobs with a pool, whose workers do its jobs, then supervisor reload",
    });
  }
  const there = all.get(name);
  if (there !== undefined) throw isThere(name, there.settings);
  const { pools } = jobs;
  const named = pool ?? (pools && DEFAULT_POOL);
  if (named !== undefined && !Object.hasOwn(pools ?? {}, named)) {
    const fix = pools === undefined ? "leave pool out" : `pools: ${Object.keys(pools).join(", ")}`;
    throw new Failure(`pipeline ${name} names the pool ${named}, which is not there`, { fix });
  }
  if (typeof dead_letter === "object" && !all.has(dead_letter.pipeline)) {
    throw noSuch(dead_letter.pipeline, all);
  }
}

/** For a name that somebody has. */
export function isThere(name: string, { driver }: PipelineConfig): Failure {
  return new Failure(`pipeline already exists, name: ${name}, driver: ${driver}`, {
    fix: "destroy it first, or use another name",
  });
}

/** For a name that nobody has. */
export function noSuch(name: string, all: Known): Failure {
  const near = nearest(name, [...all.keys()]);
  return new Failure(`no such pipeline, requested: ${name}`, {
    fix: near === undefined ? "declare it, or add it to jobs.pipelines" : `did you mean ${near}?`,
  });
}
