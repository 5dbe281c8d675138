/**
 * Answers of our own: short text, or JSON for clients that prefer it.
 *
 * Invariant: an answer of ours names no path, address or stack of the inside; details go to the
 * events.
 */

import { latin1 } from "./bytes.ts";
import type { Body, Exchange } from "./exchange.ts";
import type { Fields } from "./fields.ts";
import { type RequestHead } from "./head.ts";
import { REASONS, ResponseHead } from "./response_head.ts";

/** Bytes in memory as a body: one window. */
export class BytesBody implements Body {
  readonly length: number;
  readonly bytes: Uint8Array;
  readonly trailers: Fields | undefined = undefined;
  start = 0;
  end = 0;
  done: boolean;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.length = bytes.length;
    this.done = bytes.length === 0;
  }

  pull(): boolean {
    const first = !this.done;
    this.start = 0;
    this.end = first ? this.length : 0;
    this.done = true;
    return first;
  }
}

/** No body. */
export function noBody(): Body {
  return new BytesBody(new Uint8Array(0));
}

/** An own answer in parts. */
export interface OwnAnswer {
  head: ResponseHead;
  body: Body;
}

/**
 * Makes an own answer.
 *
 * @param request whose `Accept` decides about JSON; undefined: text
 * @param message one short sentence without a line end
 * @param fields further fields, e.g. `["Retry-After", "1"]`
 */
export function ownAnswer(
  request: RequestHead | undefined,
  status: number,
  message: string,
  fields: readonly (readonly [string, string])[] = [],
): OwnAnswer {
  const json = prefersJson(request?.get("accept"));
  const text = json
    ? JSON.stringify({ status, error: message }) + "\n"
    : `${REASONS.get(status) ?? "Error"}: ${message}\n`;
  const head = ResponseHead.of(status, [
    ["Content-Type", json ? "application/json" : "text/plain; charset=utf-8"],
    ["Cache-Control", "no-store"],
    ...fields,
  ]);
  return { head, body: new BytesBody(latin1(text)) };
}

/** Answers an exchange by ourselves; nothing if it was answered already or the client left. */
export async function answer(
  exchange: Exchange,
  status: number,
  message: string,
  fields: readonly (readonly [string, string])[] = [],
  close = false,
): Promise<void> {
  if (exchange.answered || exchange.gone) return;
  const own = ownAnswer(exchange.head, status, message, fields);
  await exchange.respond(own.head, own.body, close);
}

/** True when JSON is named in Accept and plain text or anything is not named before it. */
function prefersJson(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  for (const part of accept.split(",")) {
    const type = part.split(";")[0].trim().toLowerCase();
    if (type === "application/json" || type.endsWith("+json")) return true;
    if (type === "text/plain" || type === "text/html" || type === "*/*") return false;
  }
  return false;
}
