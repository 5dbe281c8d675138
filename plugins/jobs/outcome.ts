/**
 * What a worker's answer to a job means, and what becomes of the job then.
 *
 * | answer                             | outcome | then                                                  |
 * | ---------------------------------- | ------- | ----------------------------------------------------- |
 * | type 0, 2                          | done    | acknowledged                                          |
 * | type 1, 3 without requeue          | gave up | `dead_letter`, if written; else dropped               |
 * | type 1, 3 with requeue, 4          | requeue | again after its delay, its headers over the old ones; |
 * |                                    |         | counts as an attempt only where `retry` is written    |
 * | ERROR frame, crash, too late,      | failed  | again after the backoff, attempt + 1                  |
 * | anything else                      |         |                                                       |
 * | failed, requeue: the last attempt  |         | `dead_letter`; not written: kept, if the driver can,  |
 * |                                    |         | else dropped                                          |
 *
 * Invariant: pure; every answer has exactly one outcome, and garbage never acknowledges a job.
 */

import { JOB_RETRY } from "../../lib/config/defaults.ts";
import type { PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import { nextWait } from "../../lib/core/backoff.ts";
import { formatDuration } from "../../lib/core/duration.ts";
import { messageOf } from "../../lib/core/failure.ts";
import { textOf } from "../../lib/goridge/printed.ts";
import type { Abilities, Delivery, JobHeaders, Settlement } from "./driver.ts";

/** What a delivery came to. */
export type Outcome =
  | { kind: "done" }
  | { kind: "gave up" | "failed"; message: string }
  | { kind: "requeue"; message: string; delay: number; headers: JobHeaders };

/** What becomes of a job. */
export type Decision =
  | { settlement: Settlement; then: string }
  /** It is pushed there first, and acknowledged here after that. */
  | { to: string; error: string; then: string };

/** Rules of a pipeline. */
export type Rules = Pick<PipelineConfig, "retry" | "dead_letter">;

/** Longest delay that a worker may ask for: a year. */
const MAX_DELAY = 365 * 24 * 3_600_000;

/** Characters kept of what a worker says; PHP sends whole traces. */
const MAX_MESSAGE = 4096;

/** `{"type":0}` and `{"type":0,"data":[]}`, which nearly all answers are. */
const SUCCESS = ['{"type":0,"data":[]}', '{"type":0}'].map((text) =>
  new TextEncoder().encode(text)
);
const DONE: Outcome = { kind: "done" };

/** What the body of an answer says. */
export function outcomeOf(body: Uint8Array): Outcome {
  if (SUCCESS.some((known) => isSame(known, body))) return DONE;
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    const said = body.length === 0 ? "an empty body" : `"${textOf(body)}" (${messageOf(error)})`;
    return failed(`the worker's answer is no JSON: ${said}`);
  }
  const { type, data } = (answer ?? {}) as { type?: unknown; data?: Record<string, unknown> };
  const { message, requeue, redelivery, delay_seconds, headers } = data ?? {};
  const told = typeof message === "string" && message !== ""
    ? short(message)
    : "the worker gave no reason";
  const asked = (): Outcome => ({
    kind: "requeue",
    message: told,
    delay: delayOf(delay_seconds),
    headers: headersOf(headers),
  });
  switch (type) {
    case 0:
    case 2:
      return DONE;
    case 1:
    case 3:
      return requeue === true || redelivery === true ? asked() : { kind: "gave up", message: told };
    case 4:
      return asked();
  }
  return failed(`the worker's answer has the unknown type ${JSON.stringify(type) ?? "(none)"}`);
}

/** A delivery that came to nothing. */
export function failed(message: string): Outcome {
  return { kind: "failed", message: short(message) };
}

function short(message: string): string {
  return message.slice(0, MAX_MESSAGE).toWellFormed();
}

/** What becomes of a delivery. `random`: from 0 up to 1. */
export function decide(
  outcome: Outcome,
  { attempt, headers }: Delivery,
  { retry, dead_letter }: Rules,
  can: Pick<Abilities, "dead">,
  random: () => number,
): Decision {
  if (outcome.kind === "done") return { settlement: { kind: "ack" }, then: "done" };
  const { message: error } = outcome;
  if (outcome.kind === "gave up") return bury(error, dead_letter);
  const counts = outcome.kind === "failed" || retry !== undefined;
  const rules = retry ?? JOB_RETRY;
  if (counts && attempt >= rules.max_attempts) {
    return bury(error, dead_letter ?? (can.dead ? "keep" : undefined));
  }
  const next = counts ? attempt + 1 : attempt;
  if (outcome.kind === "requeue") {
    return again(outcome.delay, { ...headers, ...outcome.headers }, next, error);
  }
  return again(backoff(rules, attempt, random), headers, next, error);
}

/** The wait after delivery number `attempt`. */
export function backoff(
  { backoff, factor, max_delay, jitter }: NonNullable<Rules["retry"]>,
  attempt: number,
  random: () => number,
): number {
  const policy = { delay: backoff, backoff_factor: factor, max_delay };
  const delay = nextWait(policy, { tries: [], streak: attempt - 1 });
  return Math.round(delay * (1 - jitter * random()));
}

function again(delay: number, headers: JobHeaders, attempt: number, error: string): Decision {
  const then = delay === 0 ? "again" : `again in ${formatDuration(delay)}`;
  return { settlement: { kind: "again", delay, headers, attempt, error }, then };
}

function bury(error: string, dead_letter: Rules["dead_letter"]): Decision {
  if (dead_letter === undefined) return { settlement: { kind: "drop", error }, then: "dropped" };
  if (dead_letter === "keep") return { settlement: { kind: "dead", error }, then: "dead" };
  const to = dead_letter.pipeline;
  return { to, error, then: `to pipeline ${to}` };
}

function delayOf(seconds: unknown): number {
  const ms = typeof seconds === "number" ? seconds * 1000 : 0;
  return ms > 0 ? Math.min(MAX_DELAY, Math.round(ms)) : 0;
}

/** PHP writes an empty map as a list. What is neither text nor number is left out. */
function headersOf(headers: unknown): JobHeaders {
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) return {};
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      [value].flat().filter((one) => ["string", "number"].includes(typeof one)).map(String),
    ]),
  );
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
