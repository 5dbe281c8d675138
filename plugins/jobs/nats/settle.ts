/**
 * What the server is told at the end of a delivery.
 *
 * | settlement          | stored first (confirmed)            | then      |
 * | ------------------- | ----------------------------------- | --------- |
 * | ack, drop           | –                                   | `+ACK`    |
 * | again without delay | the job anew, where jobs wait       | `+ACK`    |
 * | again with delay    | the job anew, with the delayed ones | `+ACK`    |
 * | dead                | the job, with the dead letters      | `+ACK`    |
 * | back                | –                                   | `-NAK`    |
 *
 * Invariant: what is stored carries an id made of its place in the stream, so that it is not stored
 * twice when this is tried again.
 */

import type { Settlement } from "../driver.ts";
import { deleteMessage, toStore, wasStored } from "./api.ts";
import { DUE, encode, type Encoded, MSG_ID, type Progress } from "./codec.ts";
import { deadSubject } from "./names.ts";
import { BACK } from "./pull.ts";
import type { Reserved } from "./reserved.ts";
import type { Session } from "./session.ts";
import type { Terms } from "./terms.ts";

const ACK = new TextEncoder().encode("+ACK");
const NAK = new TextEncoder().encode(BACK);

/** @throws Refused, Lost; may be tried again */
export async function settle(
  session: Session,
  job: Reserved,
  settlement: Settlement,
  terms: Terms,
): Promise<void> {
  const { connection, places, created, forgets } = session;
  await store(session, job, settlement, terms);
  // Its stream is another one now: there is nobody to tell.
  if (job.created !== created) return;
  const isBack = settlement.kind === "back";
  const answer = await connection.ask({ subject: job.reply, data: isBack ? NAK : ACK });
  if (answer.headers?.code === 503) return session.break(new Error("its consumer is gone"));
  if (!isBack && !forgets && terms.deletes) await deleteMessage(connection, places.stream, job.seq);
}

async function store(
  { connection, places }: Session,
  job: Reserved,
  settlement: Settlement,
  { pipeline, clock }: Terms,
): Promise<void> {
  const { created, seq } = job;
  const mark = { [MSG_ID]: `settled ${created} ${seq}` };
  const keep = async (stream: string, subject: string, message: Encoded) => {
    wasStored(await connection.ask(toStore(subject, message)), stream);
  };
  if (settlement.kind === "again") {
    const { attempt, headers, error, delay } = settlement;
    const due: Record<string, string> = {};
    if (delay > 0) due[DUE] = String(Math.ceil(clock.wall() + delay));
    const message = fitting(
      connection.maxPayload,
      job,
      headers,
      (headers) => encode({ ...job, headers }, pipeline, { attempt, error }, { ...mark, ...due }),
    );
    const { stream, subject, delayed } = places;
    if (delay > 0) await keep(delayed, delayed, message);
    else await keep(stream, subject, message);
  } else if (settlement.kind === "dead") {
    const { attempt } = job;
    const progress: Progress = { attempt, error: settlement.error, died_at: clock.wall() };
    const message = encode(job, pipeline, progress, mark);
    await keep(places.dead, deadSubject(places, job.id), message);
  }
}

/** With its old headers when it would be too large with the new ones: better so than never. */
function fitting(
  limit: number,
  job: Reserved,
  headers: Reserved["headers"],
  made: (headers: Reserved["headers"]) => Encoded,
): Encoded {
  const message = made(headers);
  return message.size > limit ? made(job.headers) : message;
}
