/**
 * The drivers of jobs that the configuration knows.
 *
 * Invariant: a driver is in this list exactly when the jobs plugin has it; others of RoadRunner are
 * refused by name.
 */

import type * as z from "zod";
import type { SectionSchema } from "../../sections.ts";
import type { DriverName } from "../jobs.ts";
import type { DriverSchema } from "./driver.ts";
import { amqp } from "./amqp.ts";
import { beanstalk } from "./beanstalk.ts";
import { memory } from "./memory.ts";
import { nats } from "./nats.ts";
import { redis } from "./redis.ts";
import { sqlite } from "./sqlite.ts";

// deno-lint-ignore no-explicit-any -- each has its own options
const ALL: readonly DriverSchema<any>[] = [
  memory,
  sqlite,
  redis,
  nats,
  amqp,
  beanstalk,
];

/** By their names, in the order in which they are listed to users. */
export const DRIVERS: ReadonlyMap<string, DriverSchema> = new Map(
  ALL.map((driver) => [driver.name, driver]),
);

/** The keys of all of them; those that several have are the same. */
export const driverKeys: Record<string, z.ZodType> = Object.assign(
  {},
  ...ALL.map(({ keys }) => keys),
);

/** The sections of brokers. */
export const brokerSections: readonly (readonly [DriverName, SectionSchema])[] = ALL.flatMap(
  ({ name, broker }) => broker === undefined ? [] : [[name, broker.section] as const],
);
