/**
 * A job as beanstalkd keeps it: a line `supervisor/1 {…}` (JSON: all but the payload), and behind it the
 * payload as it is. What does not begin so is a job of a stranger: all of it is the payload.
 *
 * | in the line                                      | is                                              |
 * | ------------------------------------------------ | ----------------------------------------------- |
 * | id, name, headers, priority, auto_ack, unique    | as pushed                                       |
 * | attempt, error                                   | which delivery it is, why the one before failed |
 * | died_at                                          | only of a dead letter: ms since 1970            |
 * | ttr                                              | seconds that beanstalkd was told to keep it     |
 * | key                                              | of this message alone: ids of jobs may be equal |
 *
 * Invariant: what encode() wrote comes out of decode() as it was; anything else is a job or garbage,
 * never an exception.
 */

import { messageOf } from "../../../lib/core/failure.ts";
import type { Job, JobHeaders } from "../driver.ts";

/** As RoadRunner calls what a stranger sent without a name. */
const UNNAMED = "deduced_by_rr";
/** The largest number of beanstalkd's priorities. */
const MAX_PRIORITY = 2 ** 32 - 1;
/** The longest delay that beanstalkd counts, seconds. */
const MAX_DELAY = 2 ** 32 - 1;

/** What a job is besides what it was pushed with. */
export interface Fate {
  readonly attempt: number;
  readonly error?: string;
  readonly died_at?: number;
}

/** What is written into the line. */
interface Line extends Fate {
  readonly id: string;
  readonly name: string;
  readonly headers: JobHeaders;
  readonly priority: number;
  readonly auto_ack: boolean;
  readonly unique?: string;
  readonly ttr: number;
  readonly key: string;
}

/** A job that came. */
export interface Decoded extends Line, Job {
  /** Not of ours: it has no `ttr`, no `key` and no priority of its own. */
  readonly isStranger: boolean;
  /** Why it could not be read. */
  readonly garbage?: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const MAGIC = encoder.encode("supervisor/1 ");
const LF = 10;
const me = crypto.randomUUID();
let made = 0;

/** The pieces of its body. `ttr`: seconds. */
export function encode(job: Job, fate: Fate, ttr: number): Uint8Array[] {
  const { id, name, headers, priority, auto_ack, unique, payload } = job;
  const { attempt, error, died_at } = fate;
  const key = `${me}.${++made}`;
  const line: Line = {
    ...{ id, name, headers, priority, auto_ack, unique },
    ...{ attempt, error, died_at, ttr, key },
  };
  return [MAGIC, encoder.encode(`${JSON.stringify(line)}\n`), payload];
}

/** Bytes of a body. */
export function sizeOf(body: readonly Uint8Array[]): number {
  return body.reduce((sum, { length }) => sum + length, 0);
}

/** `number`: of the job at beanstalkd; `priority`: of jobs that bring none. */
export function decode(
  body: Uint8Array<ArrayBuffer>,
  number: string,
  priority: number,
): Decoded {
  const nothing = {
    id: number,
    name: UNNAMED,
    headers: {},
    priority,
    delay: 0,
    auto_ack: false,
    attempt: 1,
    ttr: 0,
    key: "",
    payload: body,
    isStranger: true,
  };
  if (!MAGIC.every((byte, at) => body[at] === byte)) return nothing;
  try {
    const end = body.indexOf(LF);
    if (end < 0) throw new Error("it has no end");
    const line = JSON.parse(decoder.decode(body.subarray(MAGIC.length, end)));
    return {
      ...checked(line),
      delay: 0,
      payload: body.subarray(end + 1),
      isStranger: false,
    };
  } catch (error) {
    return { ...nothing, garbage: `its line supervisor/1 cannot be read: ${messageOf(error)}` };
  }
}

/** @throws Error when it is none of ours */
function checked(value: unknown): Line {
  const line = value as Partial<Record<keyof Line, unknown>> | null;
  const isText = (one: unknown) => typeof one === "string";
  const isTexts = (one: unknown) => Array.isArray(one) && one.every(isText);
  const isNumber = (one: unknown) => typeof one === "number" && one >= 0;
  const isRight = typeof line === "object" && line !== null &&
    [line.id, line.name, line.key].every(isText) &&
    [line.priority, line.attempt, line.ttr, line.died_at ?? 0].every(isNumber) &&
    [line.error ?? "", line.unique ?? ""].every(isText) &&
    typeof line.auto_ack === "boolean" &&
    typeof line.headers === "object" && line.headers !== null &&
    Object.values(line.headers).every(isTexts);
  if (!isRight) throw new Error("a field is missing, or is not what it should be");
  return line as Line;
}

/** As beanstalkd serves: the lower number first. */
export function urgency(priority: number): number {
  return Math.min(MAX_PRIORITY, Math.max(0, Math.trunc(priority)));
}

/** Whole seconds, never less than `ms`. */
export function secondsOf(ms: number): number {
  return Math.min(MAX_DELAY, Math.ceil(ms / 1000));
}
