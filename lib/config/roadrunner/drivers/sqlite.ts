/** The driver `sqlite`: the file in which jobs lie. RoadRunner's `boltdb` is answered by it. */

import { JOB_DRIVERS, PIPELINE } from "../../defaults.ts";
import { readMode } from "../../names.ts";
import { read, text } from "../../schema/fields.ts";
import type { SqliteConfig } from "../jobs.ts";
import type { DriverSchema } from "./driver.ts";

/** See the file's comment. */
export const sqlite: DriverSchema<SqliteConfig> = {
  name: "sqlite",
  prefetch: PIPELINE.prefetch,
  keys: {
    file: text("sqlite: the file.", {
      defaultFrom: "`jobs.db` in the state directory",
      example: "var/jobs.db",
    }).optional(),
    permissions: read("octal mode", readMode, "sqlite: permissions of a file that is made.", {
      default: "600",
      example: "660",
    }).optional(),
  },
  live: [],
  complete: ({ file, permissions }, _, absolute) => ({
    file: typeof file === "string" ? absolute(file) : undefined,
    permissions: permissions as number | undefined ?? JOB_DRIVERS.sqlite.permissions,
  }),
};
