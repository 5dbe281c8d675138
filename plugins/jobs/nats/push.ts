/**
 * Jobs on their way to their stream.
 *
 * Invariants: nothing is sent when one of them is too large; it ends when the server has confirmed each
 * of them, or with what is not known; at most CHUNK of one push are on their way at a time.
 */

import { abortable } from "../../../lib/core/clock.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import { formatSize } from "../../../lib/core/size.ts";
import type { Job } from "../driver.ts";
import { wasStored } from "./api.ts";
import { DUE, encode, MARGIN, withId } from "./codec.ts";
import type { Question } from "./connection.ts";
import type { Key } from "./keys.ts";
import type { Session } from "./session.ts";
import type { Terms } from "./terms.ts";

const CHUNK = 512;

/** A job as it is sent. */
interface Message extends Question {
  readonly key: Key | undefined;
}

/** @throws Failure, the signal's reason */
export async function push(
  session: Session,
  jobs: readonly Job[],
  terms: Terms,
  signal: AbortSignal | undefined,
): Promise<void> {
  const messages = jobs.map((job) => messageFor(session, job, terms));
  for (let at = 0; at < messages.length; at += CHUNK) {
    await store(session, messages.slice(at, at + CHUNK), signal);
  }
}

/** @throws Failure when it is too large */
function messageFor({ connection, places }: Session, job: Job, terms: Terms): Message {
  const { maxJob, maxPayload } = connection;
  const mark: Record<string, string> = {};
  if (job.delay > 0) mark[DUE] = String(Math.ceil(terms.clock.wall() + job.delay));
  const window = job.unique_window ?? terms.window;
  const isUnique = job.unique !== undefined && window !== undefined;
  const key = isUnique ? { key: job.unique!, window: window! } : undefined;
  const { data, headers, size } = encode(job, terms.pipeline, {}, mark);
  if (size + MARGIN <= maxJob) {
    // One stream knows the keys: a job that has one goes there first, and then to the delayed ones.
    const isLater = job.delay > 0 && key === undefined;
    return { subject: isLater ? places.delayed : places.subject, data, headers, key };
  }
  const [limit, fix] = maxJob < maxPayload
    ? ["in its files", "push where the data lie instead"]
    : ["(max_payload)", "write a larger max_payload for nats-server, or push where the data lie"];
  throw new Failure(
    `job ${JSON.stringify(job.id)} takes ${formatSize(size + MARGIN)} as a message, ` +
      `and NATS takes at most ${formatSize(maxJob)} ${limit}`,
    { fix },
  );
}

async function store(
  { connection, places, keys }: Session,
  messages: Message[],
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await connection.room(signal);
    const named = await Promise.all(
      messages.filter(({ key }) => key !== undefined).map(async (message) => ({
        ...message,
        headers: withId(message.headers, await keys.idOf(message.key!)),
      })),
    );
    const questions = named.length === 0
      ? messages
      : messages.map((message) => message.key === undefined ? message : named.shift()!);
    const answers = await abortable(connection.askAll(questions), signal);
    for (const answer of answers) wasStored(answer, places.stream);
  } catch (error) {
    if (error instanceof Failure || signal?.aborted) throw error;
    const why = `whether NATS stored the jobs is not known: ${messageOf(error)}`;
    throw new Failure(why, { fix: "push them again; some may come twice then", cause: error });
  }
}
