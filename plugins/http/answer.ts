/**
 * From a worker's answer to the client's: heads, interim answers, the body.
 *
 * Invariants: framing and connection are the front's; a field that holds a line end makes the whole
 * answer a bad one and never a second field; whatever happens, the worker's answer is read to its end
 * or cancelled.
 */

import { messageOf } from "../../lib/core/failure.ts";
import { type Body, BytesBody, type Exchange, ResponseHead } from "../../lib/http/mod.ts";
import type { Answer, AnswerPart } from "../../lib/pool/types.ts";
import { AnswerBody } from "./answer_body.ts";
import { type AnswerHead, BadAnswer, readAnswerHead } from "./answer_head.ts";
import type { DateField } from "./date.ts";
import { sniff } from "./sniff.ts";

/** Interim answers of one request; more is a broken worker. */
const MOST_INTERIM = 32;
/** A whole body up to this size is given to the front as it is. */
const ONE_WINDOW = 65_536;

/**
 * Passes an answer on; resolves when the client has it or left.
 *
 * @param close the client shall not use its connection again
 * @throws BadAnswer when it is none, PoolError when the worker fails, BodyBroken when the body is not
 *   as long as it says; the answer is given up then
 */
export async function passOn(
  exchange: Exchange,
  answer: Answer,
  date: DateField,
  close: boolean,
): Promise<void> {
  let body: Body | undefined;
  try {
    const [head, part] = await finalHead(exchange, answer);
    const response = responseHead(head, part.body, date);
    body = bodyOf(answer, head, part);
    await exchange.respond(response, body, close);
  } catch (error) {
    throw body instanceof AnswerBody ? body.failure ?? error : error;
  } finally {
    // Of an answer that was read to its end nothing is left to cancel.
    if (body === undefined || body instanceof AnswerBody) answer.cancel();
  }
}

/** The head that is the answer, after interim ones were sent. */
async function finalHead(
  exchange: Exchange,
  answer: Answer,
): Promise<[head: AnswerHead, part: AnswerPart]> {
  let part: AnswerPart = answer;
  for (let interim = 0; interim <= MOST_INTERIM; interim++) {
    const head = readAnswerHead(part);
    if (head.status >= 200) return [head, part];
    // 101 cannot be a worker's: no connection is handed to it.
    if (head.status !== 101) await exchange.interim(made(head.status, head.fields));
    const next = part.more ? await answer.next() : undefined;
    if (next === undefined) throw new BadAnswer(`the worker's answer ends with ${head.status}`);
    part = next;
  }
  throw new BadAnswer(`the worker sent more than ${MOST_INTERIM} interim answers`);
}

function responseHead(head: AnswerHead, first: Uint8Array, date: DateField): ResponseHead {
  const { status, fields } = head;
  let hasType = false;
  let hasEncoding = false;
  let hasDate = false;
  for (const [name] of fields) {
    switch (name.toLowerCase()) {
      case "content-type":
        hasType = true;
        break;
      case "content-encoding":
        hasEncoding = true;
        break;
      case "date":
        hasDate = true;
    }
  }
  if (!hasType && !hasEncoding && first.length > 0) fields.push(["Content-Type", sniff(first)]);
  if (!hasDate) fields.push(["Date", date.value]);
  return made(status, fields);
}

function bodyOf(answer: Answer, head: AnswerHead, part: AnswerPart): Body {
  const { trailers } = head;
  if (part.more) {
    return new AnswerBody(answer, part, trailers === undefined ? head.contentLength : -1, trailers);
  }
  if (trailers !== undefined) return new AnswerBody(answer, part, -1, trailers);
  if (part.body.length <= ONE_WINDOW) return new BytesBody(part.body);
  return new AnswerBody(answer, part, part.body.length);
}

function made(status: number, fields: AnswerHead["fields"]): ResponseHead {
  try {
    return ResponseHead.of(status, fields);
  } catch (error) {
    throw new BadAnswer(messageOf(error));
  }
}
