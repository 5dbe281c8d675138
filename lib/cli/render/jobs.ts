/**
 * Pipelines of jobs and their dead letters for people.
 *
 * Invariant: pure; a pipeline whose driver cannot be reached always says why, and a number that is not
 * known is never shown as 0.
 */

import type {
  DeadLetters,
  FlowResult,
  Letter,
  Pipelines,
  PipelineStatus,
  ScheduleStatus,
} from "../../control/jobs.ts";
import { formatSize } from "../../core/size.ts";
import { count, span } from "./amount.ts";
import { harmless, type Paint, type Style } from "./paint.ts";
import { payloadText } from "./payload.ts";
import { type Cell, table } from "./table.ts";

/** What stands for a number that the driver does not tell. */
const UNKNOWN = "?";

const NO_PIPELINES = "there are no pipelines yet\n";

/** `jobs list`. @param now wall time, milliseconds since 1970 */
export function pipelinesText(
  { pipelines, schedules }: Pipelines,
  now: number,
  paint: Paint,
): string {
  if (pipelines.length === 0) return NO_PIPELINES;
  const rows = pipelines.map((one): Cell[] => [
    { text: one.pipeline, style: "bold" },
    one.driver,
    one.pool,
    stateOf(one),
    number(one.waiting),
    number(one.delayed),
    String(one.running),
    number(one.dead),
    noteOf(one),
  ]);
  const headings = [
    ...["PIPELINE", "DRIVER", "POOL", "STATE", ">WAITING", ">DELAYED", ">RUNNING", ">DEAD", "NOTE"],
  ];
  const first = table(headings, rows, paint);
  return schedules.length === 0 ? first : `${first}\n${schedulesText(schedules, now, paint)}`;
}

function schedulesText(schedules: readonly ScheduleStatus[], now: number, paint: Paint): string {
  const rows = schedules.map((one): Cell[] => {
    const { schedule, cron, timezone, pipeline, job, next_run_at, last_run_at, error } = one;
    const next = next_run_at === null
      ? undefined
      : span(Math.max(0, Date.parse(next_run_at) - now));
    return [
      { text: schedule, style: "bold" },
      cron,
      timezone,
      pipeline,
      job,
      next && `in ${next}`,
      last_run_at === null ? undefined : ago(last_run_at, now),
      error,
    ];
  });
  const headings = ["SCHEDULE", "CRON", "TIMEZONE", "PIPELINE", "JOB", ">NEXT", ">LAST", "NOTE"];
  return table(headings, rows, paint);
}

/** `jobs stat`. */
export function countsText({ pipelines }: Pipelines, paint: Paint): string {
  if (pipelines.length === 0) return NO_PIPELINES;
  const rows = pipelines.map(({ pipeline, counts }): Cell[] => {
    const { pushed, refused, delivered, done, failed, requeued, dead, dropped } = counts;
    const numbers = [pushed, refused, delivered, done, failed, requeued, dead, dropped];
    return [{ text: pipeline, style: "bold" }, ...numbers.map(String)];
  });
  const headings = [
    ...["PIPELINE", ">PUSHED", ">REFUSED", ">DELIVERED", ">DONE", ">FAILED", ">REQUEUED"],
    ...[">DIED", ">DROPPED"],
  ];
  return table(headings, rows, paint);
}

/** What pause and resume did. */
export function flowText({ pipeline, consuming, changed }: FlowResult): string {
  const now = consuming ? "consumed" : "paused";
  return changed
    ? `${harmless(pipeline)} is ${now}${consuming ? " again" : ""}\n`
    : `${harmless(pipeline)} is ${now} already\n`;
}

/** `jobs dead PIPELINE`. @param now wall time, milliseconds since 1970 */
export function lettersText({ pipeline, letters }: DeadLetters, now: number, paint: Paint): string {
  if (letters.length === 0) return `${harmless(pipeline)} has no dead letters\n`;
  const rows = letters.map(({ id, job, attempts, died_at, payload_bytes, error }): Cell[] => [
    { text: id, style: "bold" },
    job,
    String(attempts),
    ago(died_at, now),
    formatSize(payload_bytes),
    error.split("\n")[0],
  ]);
  return table(["ID", "JOB", ">ATTEMPTS", ">DIED", ">PAYLOAD", "ERROR"], rows, paint);
}

/** `jobs dead PIPELINE ID`. @param now wall time, milliseconds since 1970 */
export function letterText(letter: Letter, now: number, paint: Paint): string {
  const { id, pipeline, job, attempts, died_at, headers, error, payload_bytes } = letter;
  const facts: [string, string][] = [
    ["pipeline", pipeline],
    ["job", job],
    ["id", id],
    ["attempts", String(attempts)],
    ["died", `${died_at}, ${ago(died_at, now)}`],
    ["priority", String(letter.priority)],
    ...Object.entries(headers).map(([name, values]): [string, string] => [
      "header",
      `${name}: ${values.join(", ")}`,
    ]),
  ];
  const lines = facts.map(([name, text]) => `${paint("dim", name.padEnd(8))}  ${harmless(text)}`);
  lines.push(paint("dim", "error"), ...error.split("\n").map((line) => `  ${harmless(line)}`));
  lines.push(paint("dim", `payload, ${count(payload_bytes, "byte")}`));
  lines.push(...payloadText(letter).map((line) => `  ${line}`));
  return `${lines.join("\n")}\n`;
}

function stateOf({ ready, consuming }: PipelineStatus): { text: string; style: Style } {
  if (!ready) return { text: "connecting", style: "red" };
  return consuming ? { text: "consuming", style: "green" } : { text: "paused", style: "yellow" };
}

function noteOf({ ready, error, next_try_at, declared, consuming }: PipelineStatus): string {
  const notes: string[] = [];
  if (error !== undefined || !ready) notes.push(error ?? "not connected");
  if (next_try_at !== undefined) notes.push(`next try at ${next_try_at}`);
  if (!ready && !consuming) notes.push("paused");
  if (declared) notes.push("declared by a client");
  return notes.join("; ");
}

function number(value: number | null): string {
  return value === null ? UNKNOWN : String(value);
}

function ago(at: string, now: number): string {
  return `${span(Math.max(0, now - Date.parse(at)))} ago`;
}
