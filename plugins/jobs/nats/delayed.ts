/**
 * Jobs whose time is to come. Each lies in the stream of delayed jobs with its time; the server is told
 * to show it again at that time, and then it moves to where jobs wait.
 *
 * | a message is  | then                                                               |
 * | ------------- | ------------------------------------------------------------------ |
 * | before its time | the server is told when to come again with it                    |
 * | due           | it is stored where jobs wait; confirmed, it goes here              |
 *
 * Invariant: it is acknowledged here only after it was stored there, with an id by which the server
 * knows it when it is stored again; whatever fails, it comes again after `ack_wait`.
 */

import type { Msg } from "@nats-io/transport-node";
import type { Clock } from "../../../lib/core/clock.ts";
import { NANO, wasStored } from "./api.ts";
import { dueOf, marked, MSG_ID } from "./codec.ts";
import type { Question } from "./connection.ts";
import { BACK } from "./pull.ts";
import type { Session } from "./session.ts";

/** Messages at a time. */
const BATCH = 512;
/** Until a stream that did not take it is tried again. */
const AGAIN = 5000;
const ACK = new TextEncoder().encode("+ACK");

/** Looks after the delayed jobs of a session until it is lost. Never rejects. */
export async function lookAfterDelayed(session: Session, clock: Clock): Promise<void> {
  const { connection, delayed, places, created, lost } = session;
  const end = new AbortController();
  lost.then((error) => end.abort(error));
  while (!end.signal.aborted) {
    try {
      const messages = await delayed.pull(BATCH, end.signal);
      const due = messages.filter((message) => !comesLater(message));
      await move(due);
    } catch (error) {
      // The next session goes on; what was on its way comes again.
      session.break(error as Error);
      end.abort(error);
    }
  }

  function comesLater({ headers, reply }: Msg): boolean {
    const left = dueOf(headers) - clock.wall();
    if (left > 0) later(reply!, left);
    return left > 0;
  }

  function later(reply: string, ms: number): void {
    connection.tell(reply, `${BACK} {"delay": ${Math.ceil(ms) * NANO}}`);
  }

  async function move(due: Msg[]): Promise<void> {
    const answers = await connection.askAll(due.map(({ data, headers, reply }): Question => ({
      subject: places.subject,
      data,
      headers: marked(headers, { [MSG_ID]: `delayed ${created} ${sequenceOf(reply!)}` }),
    })));
    const moved = due.filter(({ reply }, at) => {
      try {
        wasStored(answers[at], places.stream);
        return true;
      } catch {
        // Full, most likely: whoever pushes is told so; this one waits.
        later(reply!, AGAIN);
        return false;
      }
    });
    await connection.askAll(moved.map(({ reply }) => ({ subject: reply!, data: ACK })));
  }
}

/** The place of a message in its stream: `$JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.TRY.SEQ.….` */
export function sequenceOf(reply: string): number {
  const parts = reply.split(".");
  return Number(parts[parts.length > 9 ? 7 : 5]);
}
