/**
 * The keys of a health check, which stand below `proxy` and below each process.
 *
 * Invariant: both places have the same keys; only their defaults differ.
 */

import { formatDuration } from "../../core/duration.ts";
import { HEALTH } from "../defaults.ts";
import { Refusal } from "../names.ts";
import { duration, read } from "./fields.ts";

/** Times of a check. `from`: the section whose values are the defaults; undefined: our own. */
export const healthTimes = (from?: string) => {
  const facts = (key: "timeout" | "interval" | "attempt_timeout" | "start_delay", min: number) => ({
    ...(from === undefined ? { default: HEALTH[key] as number } : {
      defaultFrom: `\`${from}.${key}\``,
      example: formatDuration(HEALTH[key]),
    }),
    min,
  });
  return {
    timeout: duration("Longest time until the check must have succeeded.", facts("timeout", 1))
      .optional(),
    interval: duration("Pause between two attempts.", facts("interval", 10)).optional(),
    attempt_timeout: duration("Longest time one attempt may take.", facts("attempt_timeout", 1))
      .optional(),
    start_delay: duration("Wait before the first attempt.", facts("start_delay", 0)).optional(),
  };
};

/** The path that is asked for. */
export const healthPath = (facts: { default?: string; defaultFrom?: string }) =>
  read(
    "path",
    readPath,
    "Path that must answer with a status of 200 to 299. May use templates.",
    { example: "/ping", ...facts },
  ).optional();

/** The path of a URL. */
export function readPath(value: string): string | Refusal {
  if (value.startsWith("/")) return value;
  const what = `must begin with /, got ${JSON.stringify(value)}`;
  return new Refusal(what, `write /${value.replace(/^\w+:\/\/[^/]*\//, "")}`);
}
