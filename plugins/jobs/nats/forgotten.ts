/**
 * What a server that was killed forgot of its consumers. Its streams know what is gone, and a
 * consumer may still wait for it: such messages stand before those that are there, and each pull
 * gets past one of them at most.
 *
 * Invariant: only what lies in the stream no more is acknowledged, so that nobody loses a job, and
 * what anybody has stays theirs.
 */

import { type ConsumerInfo, consumerInfo, deletedIn } from "./api.ts";
import type { NatsConnection, Question } from "./connection.ts";

/** So many, the newest: a server forgets its last moment. */
const MOST = 50_000;
/** At a time. */
const CHUNK = 512;
const ACK = new TextEncoder().encode("+ACK");

/**
 * Tells a consumer what is gone. @returns how many messages it waited for in vain
 * @throws Refused, Lost
 */
export async function remind(
  connection: NatsConnection,
  stream: string,
  consumer: string,
): Promise<number> {
  const before = await consumerInfo(connection, stream, consumer);
  if (before === undefined || before.num_ack_pending === 0) return 0;
  const gone = await goneOf(connection, stream, before);
  const reply = `$JS.ACK.${stream}.${consumer}`;
  for (let at = 0; at < gone.length; at += CHUNK) {
    await connection.askAll(
      gone.slice(at, at + CHUNK).map((seq): Question => ({
        // Which delivery it was, and when, the consumer knows itself.
        subject: `${reply}.1.${seq}.0.0.0`,
        data: ACK,
      })),
    );
  }
  if (gone.length === 0) return 0;
  const after = await consumerInfo(connection, stream, consumer);
  return Math.max(0, before.num_ack_pending - (after?.num_ack_pending ?? 0));
}

/** Places of messages that it may wait for, and that are no more. */
async function goneOf(
  connection: NatsConnection,
  stream: string,
  { ack_floor, delivered }: ConsumerInfo,
): Promise<number[]> {
  const { first_seq, deleted } = await deletedIn(connection, stream);
  const [from, to] = [ack_floor.stream_seq + 1, delivered.stream_seq];
  const gone = deleted.filter((seq) => seq >= from && seq <= to).slice(-MOST);
  // All before the first are gone as well.
  const last = Math.min(first_seq - 1, to);
  const first = Math.max(from, last - (MOST - gone.length) + 1);
  for (let seq = first; seq <= last; seq++) gone.push(seq);
  return gone;
}
