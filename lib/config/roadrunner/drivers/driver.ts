/**
 * What a driver of jobs is to the configuration: the keys below `config`, and the section of its
 * broker.
 *
 * Invariant: types only. Adding a driver is a file beside this one and a line in mod.ts; a key that
 * several drivers have is one schema, shared.
 */

import type * as z from "zod";
import type { Change } from "../../config.ts";
import type { SectionProblem, SectionSchema } from "../../sections.ts";
import type { DriverConfig, DriverName } from "../jobs.ts";

/** What was written for a pipeline: `config` over the keys beside `driver`. */
export type Written = Readonly<Record<string, unknown>>;

/** See the file's comment. */
export interface DriverSchema<C extends DriverConfig = DriverConfig> {
  readonly name: DriverName;
  /** Jobs that are taken and not yet ended, where none is written: as RoadRunner's driver has it. */
  readonly prefetch: number;
  /** Keys of `config` besides `priority` and `prefetch`, all optional. */
  readonly keys: Readonly<Record<string, z.ZodType>>;
  /** Those of its keys that an open driver takes over; another value of any other opens it anew. */
  readonly live: readonly string[];
  /** What the driver is opened from. `absolute`: of a path. Cannot fail. */
  complete(written: Written, pipeline: string, absolute: (path: string) => string): C;
  /** What the schema cannot say; paths count from the pipeline. */
  check?(config: C, pipeline: string): SectionProblem[];
  /** Where its broker is: a section of the file. */
  readonly broker?: BrokerSchema;
}

/** The section of a broker, as RoadRunner has them: `amqp`, `nats`, … */
export interface BrokerSchema<B = unknown> {
  readonly section: SectionSchema;
  /** In force where the section is not written. */
  readonly preset: B;
}

/** Another broker address opens its pipelines anew, and nothing else. */
export function compareBroker(name: DriverName): SectionSchema["compare"] {
  return (old, next): Change[] =>
    JSON.stringify(old) === JSON.stringify(next) ? [] : [{ field: name, effect: "listener" }];
}
