/** The driver `memory`: how much of the daemon's own memory jobs may take. */

import { count, size } from "../../schema/fields.ts";
import { JOB_DRIVERS, PIPELINE } from "../../defaults.ts";
import type { MemoryConfig } from "../jobs.ts";
import type { DriverSchema } from "./driver.ts";

const MAX_JOBS = 100_000_000;
const PRESET = JOB_DRIVERS.memory;

/** See the file's comment. */
export const memory: DriverSchema<MemoryConfig> = {
  name: "memory",
  prefetch: PIPELINE.prefetch,
  keys: {
    max_jobs: count(
      "memory: jobs held, dead letters included; more are refused. (Not RoadRunner's.)",
      { default: PRESET.max_jobs, min: 1, max: MAX_JOBS },
    ).optional(),
    max_size: size(
      "memory: bytes of payloads held; more are refused. (Not RoadRunner's.)",
      { default: PRESET.max_size },
    ).optional(),
  },
  live: ["max_jobs", "max_size"],
  complete: ({ max_jobs, max_size }) => ({
    max_jobs: max_jobs as number | undefined ?? PRESET.max_jobs,
    max_size: max_size as number | undefined || PRESET.max_size,
  }),
};
