/**
 * Jobs as messages of AMQP: the body is the payload, the rest stands in headers, as RoadRunner's driver
 * has them, so that both can share a queue.
 *
 * | header               | is                                                  | of         |
 * | -------------------- | --------------------------------------------------- | ---------- |
 * | rr_id, rr_job        | the job's id and name                               | RoadRunner |
 * | rr_pipeline          | the pipeline that it was pushed to                  | RoadRunner |
 * | rr_headers           | its headers in JSON, as bytes                       | RoadRunner |
 * | rr_priority          | 64-bit number                                       | RoadRunner |
 * | rr_auto_ack          | whether                                             | RoadRunner |
 * | supervisor_attempt   | which delivery it is, from 1                        | us         |
 * | supervisor_error     | why the delivery before failed; why it is dead      | us         |
 * | supervisor_unique    | its key                                             | us         |
 * | supervisor_died_at   | milliseconds since 1970; only of a dead letter      | us         |
 *
 * Invariant: whatever was encoded is decoded to the same; a message without these headers is a job too,
 * and never an error, except when it says of itself that it has headers and they cannot be read.
 */

import { Buffer } from "node:buffer";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { Job, JobHeaders } from "../driver.ts";

/** Name of a job that brings none, as RoadRunner's. */
export const UNNAMED = "deduced_by_rr";
/** Bytes of all that stands in headers: RabbitMQ wants them in one frame, and so does its client. */
export const MAX_HEADERS = 48 * 1024;
/** Of a job's headers: the name of a way to another queue than the pipeline's, as RoadRunner's. */
export const ROUTING_KEY = "x-routing-key";

/** A message to be published. */
export interface Message {
  readonly content: Buffer;
  readonly headers: Record<string, unknown>;
}

/** What of a message that came is looked at. */
export interface Received {
  readonly content: Uint8Array;
  readonly properties: { readonly headers?: Record<string, unknown>; readonly messageId?: unknown };
}

/** What a job is besides what it was pushed with. */
export interface Fate {
  attempt?: number;
  error?: string;
  died_at?: number;
}

/** A job that came. */
export interface Decoded extends Job {
  readonly attempt: number;
  readonly error?: string;
  readonly died_at: number;
  /** Why its headers could not be read. */
  readonly garbage?: string;
}

const bytesOf = (text: string) => Buffer.byteLength(text);

/** @throws Failure when its headers are too large */
export function encode(job: Job, pipeline: string, fate: Fate = {}): Message {
  const { id, name, payload, headers, priority, auto_ack, unique } = job;
  const text = JSON.stringify(headers);
  const bytes = [id, name, text, unique ?? "", fate.error ?? "", pipeline]
    .reduce((sum, one) => sum + bytesOf(one), 0);
  if (bytes > MAX_HEADERS) {
    throw new Failure(
      `job "${
        id.slice(0, 64)
      }" has ${bytes} bytes of headers, id and name, and RabbitMQ's frames ` +
        `hold ${MAX_HEADERS} of them`,
      { fix: "put what is long into the payload" },
    );
  }
  return {
    content: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
    headers: {
      rr_id: id,
      rr_job: name,
      rr_pipeline: pipeline,
      rr_headers: Buffer.from(text),
      rr_priority: { "!": "int64", value: priority },
      rr_auto_ack: auto_ack,
      supervisor_attempt: fate.attempt ?? 1,
      supervisor_error: fate.error,
      supervisor_unique: unique,
      supervisor_died_at: fate.died_at && { "!": "int64", value: fate.died_at },
    },
  };
}

/** `priority`: of jobs that bring none. */
export function decode({ content, properties }: Received, priority: number): Decoded {
  const raw = properties.headers ?? {};
  const text = (key: string) => typeof raw[key] === "string" ? raw[key] : undefined;
  const number = (key: string) => typeof raw[key] === "number" ? raw[key] : undefined;
  const known = text("rr_id");
  const messageId = typeof properties.messageId === "string" ? properties.messageId : "";
  const { headers, garbage } = headersOf(raw);
  return {
    id: known ?? (messageId || crypto.randomUUID()),
    name: text("rr_job") ?? UNNAMED,
    payload: new Uint8Array(content.buffer as ArrayBuffer, content.byteOffset, content.byteLength),
    headers,
    priority: number("rr_priority") ?? priority,
    delay: 0,
    auto_ack: raw.rr_auto_ack === true,
    unique: text("supervisor_unique"),
    attempt: Math.max(1, number("supervisor_attempt") ?? 1),
    error: text("supervisor_error"),
    died_at: number("supervisor_died_at") ?? 0,
    garbage,
  };
}

/** Written by us: its `messageId` names it, and nothing else. */
export function isOurs({ properties }: Received): boolean {
  return properties.headers?.supervisor_attempt !== undefined;
}

function headersOf(raw: Record<string, unknown>): { headers: JobHeaders; garbage?: string } {
  const { rr_headers } = raw;
  if (rr_headers === undefined) return { headers: strangers(raw) };
  try {
    const text = typeof rr_headers === "string"
      ? rr_headers
      : new TextDecoder("utf-8", { fatal: true }).decode(rr_headers as Uint8Array);
    // Go writes a map that nobody made as null.
    return { headers: checked(JSON.parse(text) ?? {}) };
  } catch (error) {
    return { headers: {}, garbage: `its rr_headers cannot be read: ${messageOf(error)}` };
  }
}

/** @throws Error when it is no map of lists of texts */
function checked(value: unknown): JobHeaders {
  const isTexts = (one: unknown) =>
    Array.isArray(one) && one.every((text) => typeof text === "string");
  if (typeof value !== "object" || Array.isArray(value) || !Object.values(value!).every(isTexts)) {
    throw new Error("it is no map of lists of texts");
  }
  return value as JobHeaders;
}

/** What is written about a message on its way. */
const NOTES = /^(?:x-death|x-first-death-.*|x-last-death-.*|x-delivery-count|rr_.*|supervisor_.*)$/;

/** The headers of AMQP that a stranger wrote, as texts. */
function strangers(raw: Record<string, unknown>): JobHeaders {
  return Object.fromEntries(
    Object.entries(raw).filter(([name]) => !NOTES.test(name))
      .map(([name, value]) => [name, [value].flat(8).flatMap(textsOf)]),
  );
}

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value === "number" || typeof value === "boolean") return [String(value)];
  if (value instanceof Uint8Array) return [new TextDecoder().decode(value)];
  return value === null || value === undefined ? [] : [JSON.stringify(value)];
}
