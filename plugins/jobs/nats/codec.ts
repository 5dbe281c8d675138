/**
 * Jobs as messages: a JSON object as RoadRunner's driver writes it, with the payload in base64, and the
 * headers as those of the message. What RoadRunner has no place for stands beside it in the JSON.
 *
 * Invariants: what encode() made, decode() gives back as it was; whatever else lies in a stream is a
 * job too, as it is with RoadRunner: its bytes are the payload.
 */

import { headers as newHeaders, type MsgHdrs } from "@nats-io/transport-node";
import { PIPELINE } from "../../../lib/config/defaults.ts";
import type { DeadJob, Delivery, Job, JobHeaders } from "../driver.ts";

/** As RoadRunner calls a message that says no name. */
const NO_NAME = "deduced_by_rr";
/** As RoadRunner tells where a message came from. */
const SUBJECT = "x-nats-subject";
/** Wall time in milliseconds before which a message is no job yet. */
export const DUE = "supervisor-due";
/** By it servers know what they have stored already. */
export const MSG_ID = "Nats-Msg-Id";
/** Of an error that travels with a job. */
const MAX_ERROR = 8 * 1024;
/** What a job may grow by after its push: attempt, error, time. */
export const MARGIN = 2 * MAX_ERROR;

/** A message before it is sent. */
export interface Encoded {
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** Bytes that count for the server's limit. */
  readonly size: number;
}

/** How far a job has come. */
export interface Progress {
  attempt?: number;
  error?: string;
  died_at?: number;
}

/** What a message says. */
export interface Decoded extends DeadJob {
  readonly attempt: number;
}

interface Envelope {
  job: string;
  id: string;
  payload: string;
  headers?: Record<string, string[]>;
  options?: {
    priority?: number;
    pipeline?: string;
    auto_ack?: boolean;
    unique?: string;
    attempt?: number;
    error?: string;
    died_at?: number;
  };
}

type Known = Omit<Job, "delay">;

/** The message of a job. `mark`: headers of ours. */
export function encode(
  job: Known,
  pipeline: string,
  { attempt = 1, error, died_at }: Progress = {},
  mark: Readonly<Record<string, string>> = {},
): Encoded {
  const { id, name, payload, priority, auto_ack, unique } = job;
  const options: Envelope["options"] = { priority, pipeline, auto_ack };
  if (unique !== undefined) options.unique = unique;
  if (attempt !== 1) options.attempt = attempt;
  if (error !== undefined) options.error = shortened(error);
  if (died_at !== undefined) options.died_at = died_at;
  const envelope: Envelope = { job: name, id, payload: payload.toBase64(), options };
  const names = Object.keys(job.headers);
  if (names.length > 0) envelope.headers = job.headers as Record<string, string[]>;
  const data = new TextEncoder().encode(JSON.stringify(envelope));
  const marks = Object.keys(mark);
  if (names.length === 0 && marks.length === 0) {
    return { data, headers: undefined, size: data.length };
  }
  const headers = newHeaders();
  for (const key of marks) headers.set(key, mark[key]);
  for (const key of names) for (const one of shown(key, job.headers[key])) headers.append(key, one);
  return { data, headers, size: data.length + headers.toString().length * 3 };
}

/** With other marks and without the old: where a message moves, what it says does not change. */
export function marked(
  headers: MsgHdrs | undefined,
  mark: Readonly<Record<string, string>>,
): MsgHdrs {
  const all = newHeaders();
  for (const key of headers?.keys() ?? []) {
    if (!isOurs(key)) { for (const value of headers!.values(key)) all.append(key, value); }
  }
  for (const key of Object.keys(mark)) all.set(key, mark[key]);
  return all;
}

/** With one more mark. */
export function withId(headers: MsgHdrs | undefined, id: string): MsgHdrs {
  const all = headers ?? newHeaders();
  all.set(MSG_ID, id);
  return all;
}

/** What a message says. `preset`: the priority of one that says none. */
export function decode(
  data: Uint8Array,
  subject: string,
  headers: MsgHdrs | undefined,
  preset: number = PIPELINE.priority,
): Decoded {
  const { job, id, payload, options = {}, ...envelope } = envelopeOf(data) ?? stranger(subject);
  return {
    id,
    name: job,
    payload: payload === undefined ? data.slice() : bytesOf(payload),
    headers: { ...envelope.headers ?? headersOf(headers), ...envelope.more },
    priority: options.priority ?? preset,
    delay: 0,
    auto_ack: options.auto_ack ?? false,
    unique: options.unique,
    attempt: options.attempt ?? 1,
    attempts: options.attempt ?? 1,
    error: options.error as string,
    died_at: options.died_at ?? 0,
  };
}

/** When it becomes a job; 0: it is one. */
export function dueOf(headers: MsgHdrs | undefined): number {
  return Number(headers?.get(DUE) || 0) || 0;
}

/** A delivery without what only dead letters have. */
export function jobOf({ attempts: _, died_at: __, ...job }: Decoded): Delivery {
  return job;
}

type Read = Omit<Envelope, "payload"> & { payload?: string; more?: JobHeaders };

/** Undefined: it is none of ours, nor of RoadRunner's. */
function envelopeOf(data: Uint8Array): Read | undefined {
  if (data[0] !== 0x7b) return undefined;
  let value: Partial<Record<keyof Envelope, unknown>>;
  try {
    value = JSON.parse(new TextDecoder().decode(data));
  } catch {
    // It only begins like JSON.
    return undefined;
  }
  const { job, id, payload, headers, options = {} } = value;
  const texts = [job, id, payload].every((one) => typeof one === "string");
  if (!texts || !isMap(options) || !(headers === undefined || isHeaders(headers))) return undefined;
  return { ...value as unknown as Envelope, options: optionsOf(options) };
}

/** Only what is of its type. */
function optionsOf(options: Record<string, unknown>): Envelope["options"] {
  const number = (key: string) => {
    const value = options[key];
    return Number.isSafeInteger(value) && value as number > 0 ? value as number : undefined;
  };
  const text = (key: string) => typeof options[key] === "string" ? options[key] : undefined;
  return {
    priority: number("priority"),
    auto_ack: options.auto_ack === true,
    unique: text("unique"),
    attempt: number("attempt"),
    error: text("error"),
    died_at: number("died_at"),
  };
}

function stranger(subject: string): Read {
  return { job: NO_NAME, id: crypto.randomUUID(), more: { [SUBJECT]: [subject] } };
}

/** Base64, or (of old versions of RoadRunner) the text itself. */
function bytesOf(payload: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(payload);
  } catch {
    return new TextEncoder().encode(payload);
  }
}

function headersOf(headers: MsgHdrs | undefined): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const key of headers?.keys() ?? []) if (!isOurs(key)) all[key] = headers!.values(key);
  return all;
}

const isOurs = (key: string) => key.startsWith("Nats-") || key === DUE;

/** Values that a header of a message can have; the JSON has them all. */
function shown(key: string, values: readonly string[]): string[] {
  if (isOurs(key) || !/^[!-9;-~]+$/.test(key)) return [];
  return values.filter((value) => value !== "" && value.trim() === value && !/[\r\n]/.test(value));
}

function shortened(error: string): string {
  return error.length <= MAX_ERROR / 4 ? error : `${error.slice(0, MAX_ERROR / 4 - 1)}…`;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isHeaders(value: unknown): boolean {
  const isList = (one: unknown) => Array.isArray(one) && one.every((x) => typeof x === "string");
  return isMap(value) && Object.values(value).every(isList);
}
