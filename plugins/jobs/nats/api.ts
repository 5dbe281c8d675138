/**
 * Questions to JetStream: streams, consumers, single messages.
 *
 * Invariant: what the server refuses is a Refused with its words and its number; "not there" is
 * undefined, or false.
 */

import type { Msg } from "@nats-io/transport-node";
import { Failure } from "../../../lib/core/failure.ts";
import type { Encoded } from "./codec.ts";
import type { NatsConnection, Question } from "./connection.ts";

/** As much of a stream's configuration as is read; the rest is handed back as it came. */
export interface StreamConfig {
  name: string;
  subjects: string[];
  retention: "limits" | "interest" | "workqueue";
  /** Nanoseconds. */
  duplicate_window: number;
}

/** What is told of a stream. */
export interface StreamInfo {
  config: StreamConfig;
  created: string;
  state: StreamState;
}

interface StreamState {
  messages: number;
  first_seq: number;
  /** How many between the first and the last are no more; which, where it is asked for. */
  num_deleted?: number;
  deleted?: number[] | null;
}

/** As much of a consumer's configuration as is read. */
export interface ConsumerConfig {
  /** Nanoseconds. */
  ack_wait: number;
  deliver_policy: string;
  durable_name?: string;
}

/** What is told of a consumer. */
export interface ConsumerInfo {
  name: string;
  config: ConsumerConfig;
  num_pending: number;
  num_ack_pending: number;
  /** The last that anybody got. */
  delivered: { stream_seq: number };
  /** All until here are acknowledged. */
  ack_floor: { stream_seq: number };
}

/** A message as it lies in a stream. */
export interface Stored {
  seq: number;
  data: Uint8Array;
}

/** The server's no. */
export class Refused extends Failure {
  constructor(what: string, readonly code: number, readonly err_code: number, why: string) {
    super(`${what}: ${why}`, { fix: fixOf(code, err_code) });
  }
}

const NOT_THERE = 404;
const NO_RESPONDERS = 503;
/** Somebody else has made it meanwhile, otherwise. */
const IN_USE = 10058;
/** Each takes some bytes of an answer. */
const MOST_DELETED = 1_000_000;
const NOTHING = new Uint8Array(0);

export const NANO = 1_000_000;

/** @throws Refused, Lost */
export async function streamInfo(connection: NatsConnection, stream: string) {
  return await request<StreamInfo>(connection, `STREAM.INFO.${stream}`);
}

/**
 * The first message of a stream, and those behind it that are no more; none are named when there are
 * more than MOST_DELETED. @throws Refused, Lost
 */
export async function deletedIn(connection: NatsConnection, stream: string) {
  const few = (await streamInfo(connection, stream))?.state;
  const { first_seq = 0, num_deleted = 0 } = few ?? {};
  if (num_deleted === 0 || num_deleted > MOST_DELETED) return { first_seq, deleted: [] };
  const asked = { deleted_details: true };
  const all = await request<StreamInfo>(connection, `STREAM.INFO.${stream}`, asked);
  return { first_seq: all?.state.first_seq ?? 0, deleted: all?.state.deleted ?? [] };
}

/** Makes it; whoever was faster may have. @throws Refused, Lost */
export async function makeStream(
  connection: NatsConnection,
  config: { name: string; [key: string]: unknown },
) {
  try {
    return await request<StreamInfo>(connection, `STREAM.CREATE.${config.name}`, config);
  } catch (error) {
    if (error instanceof Refused && error.err_code === IN_USE) {
      return await streamInfo(connection, config.name);
    }
    throw error;
  }
}

/** @throws Refused, Lost */
export async function updateStream(connection: NatsConnection, config: StreamConfig) {
  await request(connection, `STREAM.UPDATE.${config.name}`, config);
}

/** @throws Refused, Lost */
export async function deleteStream(connection: NatsConnection, stream: string) {
  await request(connection, `STREAM.DELETE.${stream}`);
}

/** @throws Refused, Lost */
export async function consumerInfo(connection: NatsConnection, stream: string, name: string) {
  return await request<ConsumerInfo>(connection, `CONSUMER.INFO.${stream}.${name}`);
}

/** Makes a durable consumer, or gives it newer settings. @throws Refused, Lost */
export async function makeConsumer(
  connection: NatsConnection,
  stream: string,
  config: { durable_name: string; [key: string]: unknown },
) {
  const verb = `CONSUMER.DURABLE.CREATE.${stream}.${config.durable_name}`;
  await request(connection, verb, { stream_name: stream, config });
}

/** A consumer that goes with its last reader. @throws Refused, Lost */
export async function makeReader(connection: NatsConnection, stream: string, config: object) {
  const body = { stream_name: stream, config };
  return await request<ConsumerInfo>(connection, `CONSUMER.CREATE.${stream}`, body);
}

/** @throws Refused, Lost */
export async function deleteConsumer(connection: NatsConnection, stream: string, name: string) {
  await request(connection, `CONSUMER.DELETE.${stream}.${name}`);
}

/** The first message of that subject. @throws Refused, Lost */
export async function firstMessage(
  connection: NatsConnection,
  stream: string,
  subject: string,
): Promise<Stored | undefined> {
  const asked = { seq: 1, next_by_subj: subject };
  const verb = `STREAM.MSG.GET.${stream}`;
  const answer = await request<{ message: { seq: number; data?: string } }>(
    connection,
    verb,
    asked,
  );
  if (answer === undefined) return undefined;
  const { seq, data = "" } = answer.message;
  return { seq, data: Uint8Array.fromBase64(data) };
}

/** @returns false: it was not there @throws Refused, Lost */
export async function deleteMessage(connection: NatsConnection, stream: string, seq: number) {
  try {
    const asked = { seq, no_erase: true };
    return await request(connection, `STREAM.MSG.DELETE.${stream}`, asked) !== undefined;
  } catch (error) {
    if (error instanceof Refused && error.err_code === 10057) return false;
    throw error;
  }
}

/** That JetStream is there, for us. @throws Refused, Lost */
export async function accountInfo(connection: NatsConnection): Promise<void> {
  await request(connection, "INFO");
}

/** What to ask so that a message is stored. */
export function toStore(subject: string, { data, headers }: Encoded): Question {
  return { subject, data, headers };
}

/** Whether it was stored now; false: it was there already. @throws Refused */
export function wasStored(answer: Msg, stream: string): boolean {
  const what = `the stream ${JSON.stringify(stream)} of NATS did not take a job`;
  if (answer.headers?.code === NO_RESPONDERS) {
    throw new Refused(what, NO_RESPONDERS, 0, "nobody takes messages of its subject");
  }
  const { error, duplicate } = JSON.parse(answer.string()) as Answer & { duplicate?: boolean };
  if (error !== undefined) throw refusal(what, error);
  return duplicate !== true;
}

interface Answer {
  error?: { code: number; err_code?: number; description: string };
}

async function request<T>(
  connection: NatsConnection,
  verb: string,
  body?: object,
): Promise<T | undefined> {
  const data = body === undefined ? NOTHING : new TextEncoder().encode(JSON.stringify(body));
  const answer = await connection.ask({ subject: `$JS.API.${verb}`, data });
  const what = `NATS refused ${verb}`;
  if (answer.headers?.code === NO_RESPONDERS) {
    throw new Refused(what, NO_RESPONDERS, 0, "JetStream is not enabled");
  }
  const { error, ...rest } = JSON.parse(answer.string()) as Answer;
  if (error === undefined) return rest as T;
  if (error.code === NOT_THERE) return undefined;
  throw refusal(what, error);
}

function refusal(what: string, { code, err_code = 0, description }: NonNullable<Answer["error"]>) {
  return new Refused(what, code, err_code, description);
}

function fixOf(code: number, err_code: number): string {
  if (code === NO_RESPONDERS && err_code === 0) return "start nats-server with jetstream, see docs";
  if (code === 503 || code === 500) return "see the server's limits of JetStream, then push again";
  return "correct the stream, or the keys stream and subject of the pipeline";
}
