/**
 * `jobs.schedules`: jobs that are pushed by the clock. Not RoadRunner's.
 *
 * Invariant: a schedule that leaves the schema has runs to come, and its time zone exists.
 */

import { Cron } from "croner";
import * as z from "zod";
import { SCHEDULE } from "../defaults.ts";
import { Refusal } from "../names.ts";
import { described, oneOf, read, section, text } from "../schema/fields.ts";

/** One of `jobs.schedules`. */
export interface ScheduleConfig {
  /** Five fields, or six with seconds first. */
  cron: string;
  /** IANA name; undefined: the machine's. */
  timezone?: string;
  pipeline: string;
  /** Name of the job. */
  job: string;
  payload: string;
  /** Runs that came while nobody was there to push them: none, or one for all of them. */
  missed: "skip" | "once";
}

/** The runs of a schedule. @throws Error in croner's words */
export function cronOf({ cron, timezone }: Pick<ScheduleConfig, "cron" | "timezone">): Cron {
  return new Cron(cron, { paused: true, ...timezone === undefined ? {} : { timezone } });
}

function readCron(pattern: string): string | Refusal {
  const got = JSON.stringify(pattern);
  const fix = 'write e.g. "*/5 * * * *" (minute, hour, day, month, weekday)';
  // A single date is no schedule.
  if (/^\d{4}-/.test(pattern.trim())) return new Refusal(`must be a cron line, got ${got}`, fix);
  try {
    if (cronOf({ cron: pattern, timezone: "UTC" }).nextRun() !== null) return pattern.trim();
  } catch (error) {
    const why = (error as Error).message.replace(/^Cron\w+: /, "");
    return new Refusal(`must be a cron line, got ${got}: ${lowered(why)}`, fix);
  }
  return new Refusal(`names days that never come, got ${got}`, fix);
}

function lowered(text: string): string {
  return `${text[0].toLowerCase()}${text.slice(1).replace(/\.$/, "")}`;
}

function readZone(name: string): string | Refusal {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return name;
  } catch {
    const what = `must be a time zone, got ${JSON.stringify(name)}`;
    return new Refusal(what, "write e.g. Europe/Berlin or UTC");
  }
}

function readScheduleName(name: string): string | Refusal {
  if (/^[\p{L}\p{N}_][\p{L}\p{N}._:-]{0,127}$/u.test(name)) return name;
  return new Refusal(
    'must be letters, digits, ".", "_", ":" and "-" (at most 128)',
    "write e.g. nightly-report",
  );
}

const schedule = section("A job, and when it is pushed.", {
  cron: read("cron line", readCron, "When: five fields, or six with seconds first.", {
    example: "0 3 * * *",
  }),
  timezone: read("time zone", readZone, "Where the hours of `cron` are counted.", {
    defaultFrom: "the machine's",
    example: "Europe/Berlin",
  }).optional(),
  pipeline: text("One of `jobs.pipelines`.", { example: "default" }),
  job: text("Name of the job, usually a class.", { example: "App\\Report" }),
  payload: text("Payload of the job.", { default: SCHEDULE.payload, example: "'{}'" }).optional(),
  missed: oneOf(
    ["skip", "once"],
    "What becomes of runs that came while the daemon was not there: none of them, or one job for all.",
    { default: SCHEDULE.missed },
  ).optional(),
});

/** `jobs.schedules` */
export const schedulesSchema = described(
  z.record(read("name", readScheduleName, "Name of a schedule."), schedule),
  "map",
  "Jobs that are pushed by the clock, by name. (Not RoadRunner's.)",
  { defaultFrom: "none", example: "{}" },
);

/** What the schema leaves. */
export type ScheduleValues = z.output<typeof schedule>;

/** With its defaults. */
export function completeSchedule(values: ScheduleValues): ScheduleConfig {
  return { ...SCHEDULE, ...values };
}
