/**
 * The schema of `jobs`, and what its keys mean together.
 *
 * Invariant: what leaves `check` without an error can be opened: every name in it names something.
 */

import * as z from "zod";
import { JOBS } from "../defaults.ts";
import { nearest } from "../../core/suggest.ts";
import { count, described, duration, section, text } from "../schema/fields.ts";
import type { SectionPlace, SectionProblem, SectionSchema } from "../sections.ts";
import { seconds } from "./fields.ts";
import type { JobsConfig, PipelineConfig } from "./jobs.ts";
import {
  checkDriver,
  completePipeline,
  pipelinesSchema,
  type PipelineValues,
} from "./jobs_pipeline.ts";
import { completeSchedule, schedulesSchema } from "./jobs_schedules.ts";
import { completePool, poolSchema } from "./pool.ts";

/** The pool of pipelines that name none, where pools have names: as RoadRunner's. */
export const DEFAULT_POOL = "default";

const schema = section("Queues of jobs for workers (RoadRunner).", {
  num_pollers: count("Jobs at workers at a time, for each pool.", {
    defaultFrom: "as many as the pool has workers, and two; also for 0",
    example: 10,
    min: 0,
    max: 10_000,
  }).optional(),
  timeout: seconds("Longest time for a push. 0: the default.", { default: JOBS.timeout })
    .optional(),
  pipeline_size: count(
    "Jobs that are taken and wait for a worker, of all pipelines. 0: the default.",
    { default: JOBS.pipeline_size, min: 0, max: 10_000_000 },
  ).optional(),
  options: section("More.", {
    parallelism: count("Pipelines opened or closed side by side. 0: the default.", {
      default: JOBS.options.parallelism,
      min: 0,
      max: 1000,
    }).optional(),
  }).optional(),
  pool: poolSchema.optional(),
  pools: described(
    z.record(text("Name of a pool."), poolSchema),
    "map",
    "Pools by name, instead of `pool`; a pipeline without `pool` has the one named `default`.",
  ).optional(),
  pipelines: pipelinesSchema.optional(),
  consume: described(
    z.array(text("Name of a pipeline.")),
    "list",
    "Pipelines whose jobs are given to workers from the beginning.",
    { defaultFrom: "none: they wait for `resume`", example: "[default]" },
  ).optional(),
  drain_timeout: duration(
    "Longest time for jobs at workers of a retired release; then they are handed back. (Not RoadRunner's.)",
    { default: JOBS.drain_timeout },
  ).optional(),
  schedules: schedulesSchema.optional(),
});

type Values = z.output<typeof schema>;

/** What `check` needs of what was written and is not in the configuration any more. */
const writtenAs = new WeakMap<JobsConfig, Values>();

/** The section `jobs`. Its comparison is the plugin's. */
export const jobsSection: SectionSchema = {
  schema,
  roadrunner: true,
  complete: (value, place) => complete(value as Values, place),
  check: (value) => check(value as JobsConfig),
};

function complete(values: Values, { absolute, cores }: SectionPlace): JobsConfig {
  const { pool, pools } = values;
  const jobs: JobsConfig = {
    num_pollers: values.num_pollers ?? JOBS.num_pollers,
    timeout: values.timeout || JOBS.timeout,
    pipeline_size: values.pipeline_size || JOBS.pipeline_size,
    options: { parallelism: values.options?.parallelism || JOBS.options.parallelism },
    pool: pools === undefined || pool !== undefined ? completePool(pool ?? {}, cores) : undefined,
    pools: pools && mapped(pools, (one) => completePool(one, cores)),
    pipelines: mapped(
      values.pipelines ?? {},
      (one, name) =>
        completePipeline(
          one,
          name,
          (path, inConfig) =>
            absolute(path, ["pipelines", name, ...inConfig ? ["config"] : [], "file"]),
        ),
    ),
    consume: values.consume ?? [],
    drain_timeout: values.drain_timeout ?? JOBS.drain_timeout,
    schedules: mapped(values.schedules ?? {}, completeSchedule),
    brokers: {},
  };
  writtenAs.set(jobs, values);
  return jobs;
}

function mapped<T, U>(
  map: Record<string, T>,
  of: (value: T, name: string) => U,
): Record<string, U> {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, of(value, name)]));
}

function check(jobs: JobsConfig): SectionProblem[] {
  const { pipelines, consume, pool, pools } = jobs;
  const problems: SectionProblem[] = [];
  const error = (path: SectionProblem["path"], message: string, fix: string) =>
    problems.push({ severity: "error", path, message, fix });
  if (pool !== undefined && pools !== undefined) {
    const message = "jobs.pool and jobs.pools cannot be set at the same time";
    error(["pools"], message, "remove one of them");
  }
  if (pools !== undefined && Object.keys(pools).length === 0) {
    error(["pools"], "jobs.pools has no pool", "add one, or remove pools");
  }
  for (const [index, name] of consume.entries()) {
    const field = `jobs.consume names the pipeline ${JSON.stringify(name)}`;
    if (!Object.hasOwn(pipelines, name)) {
      error(
        ["consume", String(index)],
        `${field}, which is not in jobs.pipelines`,
        oneOfThem(name, pipelines),
      );
    } else if (consume.indexOf(name) < index) {
      error(["consume", String(index)], `${field} twice`, "remove one of them");
    }
  }
  for (const [name, { pipeline }] of Object.entries(jobs.schedules)) {
    if (Object.hasOwn(pipelines, pipeline)) continue;
    const got = JSON.stringify(pipeline);
    error(
      ["schedules", name, "pipeline"],
      `jobs.schedules.${name}.pipeline names ${got}, which is not in jobs.pipelines`,
      oneOfThem(pipeline, pipelines),
    );
  }
  const written = writtenAs.get(jobs)?.pipelines ?? {};
  for (const [name, one] of Object.entries(pipelines)) {
    problems.push(...checkPipeline(name, one, jobs, written[name]));
  }
  return problems;
}

function checkPipeline(
  name: string,
  pipeline: PipelineConfig,
  { pools, pipelines }: JobsConfig,
  written: PipelineValues | undefined,
): SectionProblem[] {
  const problems: SectionProblem[] = [];
  const { pool, dead_letter } = pipeline;
  const field = `jobs.pipelines.${name}`;
  const say = (key: string, message: string, fix: string) =>
    problems.push({ severity: "error", path: ["pipelines", name, key], message, fix });
  if (pools === undefined && pool !== undefined) {
    const message = `${field}.pool names a pool, and jobs has only one without a name`;
    say("pool", message, "remove it, or write jobs.pools");
  }
  if (pools !== undefined && !Object.hasOwn(pools, pool ?? DEFAULT_POOL)) {
    const got = JSON.stringify(pool ?? DEFAULT_POOL);
    const message = pool === undefined
      ? `${field} names no pool, and jobs.pools has none named ${got}`
      : `${field}.pool names ${got}, which is not in jobs.pools`;
    say(
      pool === undefined ? "driver" : "pool",
      message,
      oneOfThem(pool ?? DEFAULT_POOL, pools, "pool: "),
    );
  }
  if (typeof dead_letter === "object") {
    const why = deadEnd(name, dead_letter.pipeline, pipelines);
    if (why !== undefined) {
      say("dead_letter", `${field}.dead_letter ${why}`, "name another pipeline, or write keep");
    }
  }
  const ofDriver = checkDriver(name, pipeline, written);
  problems.push(
    ...ofDriver.map((problem) => ({ ...problem, path: ["pipelines", name, ...problem.path] })),
  );
  return problems;
}

/** Why dead letters cannot go from `name` to `target`; undefined: they can. */
function deadEnd(
  name: string,
  target: string,
  pipelines: Record<string, PipelineConfig>,
): string | undefined {
  const got = JSON.stringify(target);
  if (!Object.hasOwn(pipelines, target)) return `names ${got}, which is not in jobs.pipelines`;
  const seen = new Set([name]);
  for (let at: string | undefined = target; at !== undefined;) {
    if (seen.has(at)) {
      return at === name ? `${got} leads back to ${JSON.stringify(name)}` : undefined;
    }
    seen.add(at);
    const next: PipelineConfig["dead_letter"] = pipelines[at]?.dead_letter;
    at = typeof next === "object" ? next.pipeline : undefined;
  }
}

function oneOfThem(got: string, all: object, key = ""): string {
  const names = Object.keys(all);
  const near = nearest(got, names) ?? names[0];
  return near === undefined ? "add it" : `write ${key}${near}, or add ${JSON.stringify(got)}`;
}
