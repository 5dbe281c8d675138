/**
 * `jobs.pipelines.<name>`: its keys, and what they mean together.
 *
 * RoadRunner wrote the keys of a driver beside `driver` first, and below `config` later; both are
 * taken, and `config` counts. A pipeline that a client declares has them all beside each other.
 *
 * Invariant: a value that leaves completePipeline() is complete; drivers that are not there are
 * refused by name.
 */

import * as z from "zod";
import { JOB_RETRY, MAX_WAIT, PIPELINE } from "../defaults.ts";
import { Refusal } from "../names.ts";
import type { Severity } from "../problem.ts";
import { count, described, duration, number, read, section, text } from "../schema/fields.ts";
import type { SectionProblem } from "../sections.ts";
import type { Written } from "./drivers/driver.ts";
import { driverKeys, DRIVERS } from "./drivers/mod.ts";
import { seconds } from "./fields.ts";
import type { DriverName, PipelineConfig } from "./jobs.ts";

/** As RoadRunner calls what is answered by a driver of ours. */
const ALIASES: Readonly<Record<string, DriverName>> = { boltdb: "sqlite" };
/** Drivers of RoadRunner that are not here. */
const NOT_YET = ["kafka", "sqs", "google_pub_sub", "nsq"];

/** Jobs of one pipeline that are taken and not ended. */
const MAX_PREFETCH = 1_000_000;

/** The driver of that name; `boltdb` stays, so that its keys are known for what they are. */
function readDriver(name: string): string | Refusal {
  if (DRIVERS.has(driverOf(name))) return name;
  const fix = `write ${listOf([...DRIVERS.keys()])}`;
  const got = JSON.stringify(name);
  if (!NOT_YET.includes(name)) return new Refusal(`must be a driver of jobs, got ${got}`, fix);
  return new Refusal(`names ${got}, which this version does not support yet`, fix);
}

function driverOf(name: string): DriverName {
  return ALIASES[name] ?? name as DriverName;
}

function listOf(names: readonly string[]): string {
  return names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

/** The name of a pipeline: whatever applications call theirs, dots and capitals included. */
export function readPipelineName(name: string): string | Refusal {
  if (/^[\p{L}\p{N}_][\p{L}\p{N}._:/@-]{0,127}$/u.test(name)) return name;
  const what = 'must be letters, digits, ".", "_", ":", "/", "@" and "-" (at most 128)';
  const near = name.replace(/[^\p{L}\p{N}._:/@-]+/gu, "-").replace(/^[^\p{L}\p{N}_]+|-+$/gu, "");
  return new Refusal(what, `write e.g. ${near.slice(0, 128) || "default"}`);
}

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };

function readRate(text: string): PipelineConfig["rate"] | Refusal {
  const match = /^\s*(\d{1,7})\s*\/\s*([smh])\s*$/.exec(text);
  const fix = "write e.g. 100/s, 30/m or 500/h";
  const got = JSON.stringify(text);
  if (match === null) return new Refusal(`must be a number of jobs in a time, got ${got}`, fix);
  if (Number(match[1]) === 0) return new Refusal(`must be at least one job, got ${got}`, fix);
  return { jobs: Number(match[1]), per: UNITS[match[2]] };
}

function readDeadLetter(text: string): PipelineConfig["dead_letter"] | Refusal {
  if (text === "keep") return "keep";
  const pipeline = readPipelineName(text);
  return pipeline instanceof Refusal ? pipeline : { pipeline };
}

/** Keys that stand in `config`, or beside `driver`. */
const driven = {
  priority: count("Priority of jobs that bring none; lower is served first. 0: the default.", {
    default: PIPELINE.priority,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
  }).optional(),
  prefetch: count("Jobs that are taken and not yet ended. 0: the default.", {
    defaultFrom: [...DRIVERS.values()].map(({ name, prefetch }) => `${prefetch} (${name})`)
      .join(", "),
    example: 100,
    min: 0,
    max: MAX_PREFETCH,
  }).optional(),
  ...driverKeys,
};

const retry = section(
  "Deliveries of a job that fails. Where it is written, a worker's own requeue counts too. (Not RoadRunner's.)",
  {
    max_attempts: count("Deliveries, the first included.", {
      default: JOB_RETRY.max_attempts,
      min: 1,
      max: 1_000_000,
    }).optional(),
    backoff: duration("Wait before the second delivery.", { default: JOB_RETRY.backoff })
      .optional(),
    factor: number("How much longer each further wait is.", {
      default: JOB_RETRY.factor,
      min: 1,
      max: 100,
    }).optional(),
    max_delay: duration("Longest wait.", { default: JOB_RETRY.max_delay, min: 1 }).optional(),
    jitter: number("Part of each wait that is drawn, so that not all come back at once.", {
      default: JOB_RETRY.jitter,
      min: 0,
      max: 1,
      example: 0.2,
    }).optional(),
  },
);

/** Keys beside `driver`. */
const keys = {
  driver: read(
    listOf([...DRIVERS.keys()].map((name) => `\`${name}\``)),
    readDriver,
    "Where its jobs lie.",
    { example: "memory" },
  ),
  pool: text("One of `jobs.pools`, which works for it.", { example: "mail" }).optional(),
  ...driven,
  parallelism: count("Jobs at workers at a time. 0: no limit. (Not RoadRunner's.)", {
    default: PIPELINE.parallelism,
    min: 0,
    max: 100_000,
  }).optional(),
  retry: retry.optional(),
  dead_letter: read(
    "`keep`, or a pipeline",
    readDeadLetter,
    "What becomes of a job that failed for good: kept as dead letter, or pushed to that pipeline. (Not RoadRunner's.)",
    {
      defaultFrom: "`keep` after the last attempt, and nothing for jobs that a worker gave up",
      example: "keep",
    },
  ).optional(),
  rate: read("number of jobs in a time", readRate, "Jobs begun. (Not RoadRunner's.)", {
    defaultFrom: "no limit",
    example: "100/s",
  }).optional(),
  unique: section("Jobs that are stored only once. (Not RoadRunner's.)", {
    window: duration(
      "How long a key (header `unique`) is remembered after a job with it was pushed.",
      { example: "10m", min: 1, max: MAX_WAIT },
    ),
  }).optional(),
  timeout: seconds(
    "Longest time for one job; then its worker is killed. 0: none but `supervisor.exec_ttl`. (Not RoadRunner's.)",
    { default: PIPELINE.timeout },
  ).optional(),
};

/** One of `jobs.pipelines`. */
export const pipelineSchema = section("A queue of jobs.", {
  ...keys,
  config: section("Options of the driver.", driven).optional(),
});

/** What the schema leaves. */
export type PipelineValues = z.output<typeof pipelineSchema>;

/** A whole pipeline. `absolute`: for paths in it. */
export function completePipeline(
  values: PipelineValues,
  name: string,
  absolute: (path: string, inConfig: boolean) => string,
): PipelineConfig {
  const { pool, parallelism, retry, dead_letter, rate, unique, timeout } = values;
  const driver = driverOf(values.driver);
  const schema = DRIVERS.get(driver)!;
  const { own, inConfig } = driverValues(values);
  return {
    driver,
    pool,
    priority: own.priority as number || PIPELINE.priority,
    prefetch: own.prefetch as number || schema.prefetch,
    config: schema.complete(own, name, (path) => absolute(path, inConfig(path))),
    parallelism: parallelism ?? PIPELINE.parallelism,
    retry: retry && { ...JOB_RETRY, ...retry },
    dead_letter,
    rate,
    unique,
    timeout: timeout ?? PIPELINE.timeout,
  };
}

/** What was written of the keys of drivers; `inConfig`: whether that value stands in `config`. */
function driverValues(values: PipelineValues) {
  const config: Record<string, unknown> = values.config ?? {};
  const own: Record<string, unknown> = { ...values, ...config };
  // A file of boltdb is none of sqlite.
  if (values.driver === "boltdb") delete own.file;
  return { own, inConfig: (value: unknown) => Object.values(config).includes(value) };
}

/** What is written that the pipeline's driver does not know, or that it refuses. */
export function checkDriver(
  name: string,
  pipeline: PipelineConfig,
  written: PipelineValues | undefined,
): SectionProblem[] {
  const schema = DRIVERS.get(pipeline.driver)!;
  const problems = schema.check?.(pipeline.config, name) ?? [];
  const field = `jobs.pipelines.${name}`;
  const say = (severity: Severity, key: string, message: string, fix: string) => {
    const at = (written as Written | undefined)?.[key] === undefined ? ["config", key] : [key];
    problems.push({ severity, path: at, message: `${field}: ${message}`, fix });
  };
  if (written?.driver === "boltdb") {
    const message = "boltdb is answered by the driver sqlite, in a file of its own; " +
      "jobs in an old file of boltdb stay there";
    problems.push({
      severity: "warning",
      path: ["driver"],
      message: `${field}: ${message}`,
      fix: "let RoadRunner finish them, then write driver: sqlite",
    });
  }
  const own: Written = { ...written, ...written?.config };
  for (const key of Object.keys(driverKeys)) {
    if (own[key] === undefined || Object.hasOwn(schema.keys, key)) continue;
    const text = `the driver ${pipeline.driver} has no ${key}`;
    // RoadRunner takes a queue with every driver.
    if (key === "queue") say("warning", key, `${text}, so it has no effect`, "remove it");
    else say("error", key, text, `remove ${key}`);
  }
  return problems;
}

/** For clients, who send texts: whatever is no text there stands in JSON. */
const declared = z.strictObject({
  ...keys,
  name: read("name", readPipelineName, "Name."),
});

/**
 * A pipeline as a client declares it.
 * @returns or what is wrong with which key
 */
export function readDeclaration(
  texts: Readonly<Record<string, string>>,
): { name: string; pipeline: PipelineConfig } | Refusal {
  const parsed = declared.safeParse(
    Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, valueOf(key, text)])),
  );
  if (parsed.success) {
    const { name, ...values } = parsed.data;
    return { name, pipeline: completePipeline(values, name, (path) => path) };
  }
  const [issue] = parsed.error.issues;
  if (issue.code === "unrecognized_keys") {
    const names = issue.keys.map((key) => JSON.stringify(key)).join(", ");
    return new Refusal(`the driver takes no ${names}`, "leave it out");
  }
  const fix = issue.code === "custom" ? String(issue.params?.fix ?? "") : "";
  const key = issue.path.join(".");
  const missing = texts[String(issue.path[0])] === undefined;
  return new Refusal(`${key} ${missing ? "is missing" : issue.message}`, fix || `correct ${key}`);
}

/** What the key takes: the text itself, or what it says in JSON. */
function valueOf(key: string, text: string): unknown {
  const schema = (keys as Record<string, z.ZodType>)[key];
  if (schema === undefined || schema.safeParse(text).success) return text;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON: the schema says what it should be.
    return text;
  }
  // A map is told what is wrong inside of it.
  return typeof value === "object" || schema.safeParse(value).success ? value : text;
}

/** `jobs.pipelines` */
export const pipelinesSchema = described(
  z.record(read("name", readPipelineName, "Name of a pipeline."), pipelineSchema),
  "map",
  "Queues of jobs by name.",
);
