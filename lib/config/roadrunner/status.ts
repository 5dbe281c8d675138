/**
 * The `status` section of RoadRunner: health on an address of its own.
 *
 * Invariant: types and schema; a value of this type came out of the schema complete.
 */

import type * as z from "zod";
import { STATUS } from "../defaults.ts";
import { readAddress } from "../names.ts";
import { count, read, section } from "../schema/fields.ts";
import type { SectionSchema } from "../sections.ts";
import { compareAddressed } from "./compare.ts";
import { seconds } from "./fields.ts";

/** `status`, checked and complete. */
export interface StatusConfig {
  address: { host: string; port: number };
  unavailable_status_code: number;
  /** Milliseconds (RoadRunner's integer is seconds). */
  check_timeout: number;
}

const schema = section("Health of the daemon by HTTP, on an address of its own (RoadRunner).", {
  address: read("host:port", readAddress, "Address to listen on.", { example: "127.0.0.1:2114" }),
  unavailable_status_code: count("Status code that means no.", {
    default: STATUS.unavailable_status_code,
    min: 400,
    max: 599,
  }).optional(),
  check_timeout: seconds(
    "Longest time for a check: seconds, or a duration. Checks here answer at once.",
    {
      default: STATUS.check_timeout,
    },
  ).optional(),
});

/** The section `status`. */
export const statusSection: SectionSchema = {
  schema,
  roadrunner: true,
  complete(value): StatusConfig {
    const { address, ...rest } = value as z.output<typeof schema>;
    return { address, ...STATUS, ...rest };
  },
  compare: (old, next) => compareAddressed("status", old, next),
};
