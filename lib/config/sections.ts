/**
 * Sections of the file that belong to others: those of our plugins, which bring their schema, and
 * those of RoadRunner that nothing here implements.
 *
 * Invariant: a section is never ignored in silence. It is checked by its owner, or named in a warning,
 * or (where a client of the application would notice that it does nothing) in an error.
 */

import type * as z from "zod";
import type { CompareSection } from "./compare.ts";
import type { Config } from "./config.ts";
import type { Severity, Spot } from "./problem.ts";
import type { Path } from "./tree.ts";

/** What a plugin tells about its section. */
export interface SectionSchema {
  /** Strict, with descriptions; its output is `config.sections[name]`, or what `complete` makes of it. */
  schema: z.ZodType;
  /** Keeps RoadRunner's names and its bare `$VAR`. */
  roadrunner: boolean;
  /** Fills in defaults that depend on more than the key, and makes paths absolute. Cannot fail. */
  complete?(value: unknown, place: SectionPlace): unknown;
  /** How two complete values differ; missing: every difference is a new generation. */
  compare?: CompareSection;
  /** What the schema cannot say; runs only when the rest of the file has no error. */
  check?(value: unknown, config: Config): SectionProblem[];
}

/** Where a section is completed. */
export interface SectionPlace {
  /** A path as written at `at` (counted from the section), made absolute. */
  absolute(path: string, at: Path): string;
  /** Logical processors of this machine. */
  cores: number;
  /** Directory for temporary files. */
  tmp: string;
}

/** A complaint of a section about itself; `path` counts from the section. */
export interface SectionProblem {
  severity: Severity;
  path: Path;
  spot?: Spot;
  /** A whole clause with the name of the field. */
  message: string;
  fix: string;
}

/** Sections that run workers: one of them, or one process, is what a configuration is for. */
export const WORKER_SECTIONS: readonly string[] = ["http", "tcp", "jobs"];

/** Without them something that clients of the application use is missing. */
const MISSED_BY_CLIENTS = [
  "jobs",
  "kv",
  "lock",
  "fileserver",
  "grpc",
  "temporal",
  "centrifuge",
  "websockets",
  "broadcast",
  "envfile",
];

/** Without them the application does the same. */
const NOT_MISSED = [
  "otel",
  "endure",
  "app",
  "reload",
  "informer",
  "resetter",
  "kafka",
  "sqs",
  "google_pub_sub",
  "nsq",
  "boltdb",
  "memcached",
];

/** What to say about a section of RoadRunner that no plugin takes; undefined: it is none. */
export function unsupported(name: string): SectionProblem | undefined {
  if (name === "envfile") {
    const fix = "remove it and start with --dotenv FILE";
    return { severity: "error", path: [], message: `"envfile" is not supported`, fix };
  }
  const message = `the section "${name}" is not supported by this version`;
  if (MISSED_BY_CLIENTS.includes(name)) {
    return { severity: "error", path: [], message, fix: "remove the section" };
  }
  if (!NOT_MISSED.includes(name)) return undefined;
  const fix = "remove the section to silence this";
  return { severity: "warning", path: [], message: `${message} and has no effect`, fix };
}
