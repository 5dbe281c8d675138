/**
 * A `Response` as frames: in one when its body is there, streamed when it comes bit by bit.
 *
 * Invariant: the first bytes never wait for the next ones; whoever wants no more has the body
 * cancelled; a body that breaks off ends in an error, never as if it were whole.
 */

import { setImmediate } from "node:timers";
import type { Turn } from "../turn.ts";
import { answerFlags, writeHead } from "./head.ts";

const NOTHING = new Uint8Array(0);
const LOWEST = 200;

/** Sends it. @throws what the body throws, TypeError when it is no answer */
export async function sendResponse(turn: Turn, method: string, response: Response): Promise<void> {
  checked(response);
  const flags = answerFlags(turn.flags);
  const head = writeHead(flags, response.status, response.headers);
  if (response.body === null) return await turn.answer(flags, head);
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  if (method === "HEAD" || turn.stopped) {
    cancel(reader);
    return await turn.answer(flags, head);
  }
  turn.onStop = () => cancel(reader);
  const first = await read(reader);
  if (first === undefined) return await turn.answer(flags, head);
  const second = read(reader);
  // What is there already is there by then; what is not may take for ever.
  const there = await Promise.race([second.then(toEnd, () => false), nextTurn()]);
  if (there) return await turn.answer(flags, head, first);
  await turn.part(flags, head, first);
  for (let next = await second; next !== undefined; next = await read(reader)) {
    await turn.part(flags, NOTHING, next);
  }
  await turn.answer(flags, NOTHING);
}

/** Sends a hint (103) ahead of the answer. */
export async function sendHints(turn: Turn, headers: HeadersInit): Promise<void> {
  const flags = answerFlags(turn.flags);
  await turn.part(flags, writeHead(flags, 103, new Headers(headers)));
}

function checked(response: Response): void {
  if (!(response instanceof Response)) {
    throw new TypeError(`the handler returned ${String(response)}, which is no Response`);
  }
  if (response.status < LOWEST) throw new TypeError("the handler returned an error Response");
  if (response.bodyUsed) {
    throw new TypeError("the handler returned a Response that was read already");
  }
}

/** The next bytes that are some; undefined at the end. @throws what the body throws */
async function read(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<Uint8Array | undefined> {
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    if (!(value instanceof Uint8Array)) {
      cancel(reader);
      throw new TypeError(
        `the body of the answer yields ${typeof value}, it must yield Uint8Array`,
      );
    }
    if (value.length > 0) return value;
  }
}

function toEnd(next: Uint8Array | undefined): boolean {
  return next === undefined;
}

function nextTurn(): Promise<false> {
  return new Promise((resolve) => setImmediate(() => resolve(false)));
}

/** Tells the source of a body that nobody wants it any more. */
function cancel(reader: ReadableStreamDefaultReader<Uint8Array>): void {
  reader.cancel(new Error("nobody waits for this answer any more")).catch((error) => {
    console.error("worker: the body of an answer failed to cancel:", error);
  });
}
