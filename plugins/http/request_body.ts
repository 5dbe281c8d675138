/**
 * The body of a request as a worker gets it.
 *
 * | the request                     | parsed | body                         |
 * | ------------------------------- | ------ | ---------------------------- |
 * | method HEAD or OPTIONS          | no     | none; it is read and dropped |
 * | a form type, `raw_body` off     | yes    | tree of its fields           |
 * | anything else, or `raw_body` on | no     | as it came                   |
 *
 * Invariants: nothing reaches a worker before the whole body is here, so a client that stops in the
 * middle costs no worker; a tree is never empty bytes, which PHP could not parse.
 */

import type { HttpConfig } from "../../lib/config/roadrunner/http.ts";
import { sameWord } from "../../lib/http/bytes.ts";
import { type Exchange, type RequestHead, ResponseHead } from "../../lib/http/mod.ts";
import { collect, discard, formKind, readTree, type UploadHost } from "./body/mod.ts";

/** A body that was read. */
export interface RequestBody {
  readonly parsed: boolean;
  /** What follows the context in the frame. */
  readonly parts: readonly Uint8Array[];
  /** The tree of uploaded files as JSON text. */
  readonly uploads: string | null;
  /** Removes temporary files, when there can be some; to be called when the worker is done. */
  readonly remove?: () => Promise<void>;
}

/** What of the configuration decides about bodies. */
export type BodyRules = Pick<HttpConfig, "max_request_size" | "raw_body" | "uploads">;

const NONE: RequestBody = { parsed: false, parts: [], uploads: null };
const EMPTY_TREE: RequestBody = {
  parsed: true,
  parts: [new TextEncoder().encode("{}")],
  uploads: null,
};
const CONTENT_TYPE = new TextEncoder().encode("content-type");
const CONTINUE = ResponseHead.of(100);

/**
 * Reads the body of an exchange.
 *
 * @throws BodyBroken (as rejection) with 413 when it is too large, 400 when it is no form, or when the
 *   client left
 */
export function requestBody(
  exchange: Exchange,
  rules: BodyRules,
  host: UploadHost,
): RequestBody | Promise<RequestBody> {
  const { method, head, body } = exchange;
  if (method === "HEAD" || method === "OPTIONS") {
    return body.length === 0 ? NONE : unwanted(exchange, rules);
  }
  const type = contentType(head);
  const isForm = !rules.raw_body && type !== undefined && formKind(type) !== undefined;
  if (body.length === 0) return isForm ? EMPTY_TREE : NONE;
  return isForm ? form(exchange, type, rules, host) : raw(exchange, rules);
}

async function form(
  exchange: Exchange,
  type: string,
  rules: BodyRules,
  host: UploadHost,
): Promise<RequestBody> {
  await invite(exchange, rules);
  const { body, uploads, remove } = await readTree(exchange.body, type, rules, host);
  return { parsed: true, parts: [body], uploads, remove };
}

async function unwanted(exchange: Exchange, rules: BodyRules): Promise<RequestBody> {
  await invite(exchange, rules);
  await discard(exchange.body, rules.max_request_size);
  return NONE;
}

async function raw(exchange: Exchange, rules: BodyRules): Promise<RequestBody> {
  await invite(exchange, rules);
  const bytes = await collect(exchange.body, rules.max_request_size);
  return { parsed: false, parts: [bytes], uploads: null };
}

/** Tells a client that waits for it to go on; one whose body would be refused gets the refusal. */
async function invite(exchange: Exchange, { max_request_size }: BodyRules): Promise<void> {
  const { head, body } = exchange;
  if (!head.expectsContinue || head.minor === 0 || body.length > max_request_size) return;
  await exchange.interim(CONTINUE);
}

function contentType(head: RequestHead): string | undefined {
  const { bytes, count } = head;
  for (let i = 0; i < count; i++) {
    if (sameWord(bytes, head.nameStart(i), head.nameEnd(i), CONTENT_TYPE)) return head.value(i);
  }
}
