/**
 * Dead letters: a stream of their own, each below a subject made of its id.
 *
 * Invariants: the oldest is the first of its stream; one that is retried is stored where jobs wait
 * before it goes here.
 */

import type { Clock } from "../../../lib/core/clock.ts";
import type { DeadJob } from "../driver.ts";
import {
  deleteConsumer,
  deleteMessage,
  firstMessage,
  makeReader,
  NANO,
  streamInfo,
  toStore,
  wasStored,
} from "./api.ts";
import { decode, encode, MSG_ID } from "./codec.ts";
import type { NatsConnection } from "./connection.ts";
import { deadSubject, type Places } from "./names.ts";
import { Pull } from "./pull.ts";

/** A reader that was not deleted goes by itself after this. */
const READER_LIFE = 10_000;
const NEVER = new AbortController().signal;

/** How many there are. */
export async function deadCount(connection: NatsConnection, places: Places): Promise<number> {
  return (await streamInfo(connection, places.dead))?.state.messages ?? 0;
}

/** From the oldest, after the one with id `after`. */
export async function deadJobs(
  connection: NatsConnection,
  places: Places,
  clock: Clock,
  most: number,
  after?: string,
): Promise<DeadJob[]> {
  const { dead: stream } = places;
  const start = after === undefined
    ? { seq: 0 }
    : await firstMessage(connection, stream, deadSubject(places, after));
  // Behind one that is no more there is nothing that could be named.
  if (start === undefined || most < 1) return [];
  const reader = await makeReader(connection, stream, {
    ack_policy: "none",
    deliver_policy: "by_start_sequence",
    opt_start_seq: start.seq + 1,
    max_deliver: 1,
    mem_storage: true,
    inactive_threshold: READER_LIFE * NANO,
  });
  if (reader === undefined || reader.num_pending === 0) return [];
  const consumer = reader.name;
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => {});
  const pull = new Pull(connection, clock, { stream, consumer }, broken.reject);
  const jobs: DeadJob[] = [];
  const wanted = Math.min(most, reader.num_pending);
  try {
    while (jobs.length < wanted) {
      const messages = await Promise.race([
        pull.pull(wanted - jobs.length, NEVER),
        broken.promise,
        connection.lost.then((error) => Promise.reject(error)),
      ]);
      // Somebody else retried or dropped the rest.
      if (messages.length === 0) break;
      for (const { data, subject, headers } of messages) {
        const { attempt: _, ...job } = decode(data, subject, headers);
        jobs.push({ ...job, error: job.error ?? "" });
      }
    }
  } finally {
    pull.end(new Error("it was read"));
    if (connection.alive) await deleteConsumer(connection, stream, consumer);
  }
  return jobs;
}

/** Makes it a job that waits, attempt 1. @returns false: there is none of that id */
export async function retryDead(
  connection: NatsConnection,
  places: Places,
  pipeline: string,
  id: string,
): Promise<boolean> {
  const { dead, stream, subject } = places;
  const there = await firstMessage(connection, dead, deadSubject(places, id));
  if (there === undefined) return false;
  const job = decode(there.data, subject, undefined);
  // Stored once, also when two of us are asked at a time.
  const message = encode(job, pipeline, {}, { [MSG_ID]: `retried ${there.seq} ${job.died_at}` });
  wasStored(await connection.ask(toStore(subject, message)), stream);
  return await deleteMessage(connection, dead, there.seq);
}

/** @returns false: there is none of that id */
export async function dropDead(
  connection: NatsConnection,
  places: Places,
  id: string,
): Promise<boolean> {
  const there = await firstMessage(connection, places.dead, deadSubject(places, id));
  return there !== undefined && await deleteMessage(connection, places.dead, there.seq);
}
