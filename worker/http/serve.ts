/**
 * HTTP workers: requests as the web's own `Request`, answers as its `Response`.
 *
 * Invariant: one request at a time; a handler that throws fails its request only.
 */

import { run, type WorkerOptions } from "../run.ts";
import { ReplaceWorker, type Turn } from "../turn.ts";
import { sendHints, sendResponse } from "./answer.ts";
import { formOf, pairsOf } from "./form.ts";
import { type Head, readHead, type Tree } from "./head.ts";

/** What a request carries besides what `Request` holds. */
export interface HttpContext extends
  Pick<
    Head,
    "remoteAddr" | "protocol" | "cookies" | "rawQuery" | "parsed" | "uploads" | "attributes"
  > {
  /** The body as the supervisor gave it: raw, or the JSON tree of a form. Also with GET. */
  body: Uint8Array;
  /** The fields of a form, by their brackets; null when the body is raw. */
  fields: Tree<string> | null;
  /** Sends a 103 with these headers ahead of the answer. */
  earlyHints(headers: HeadersInit): Promise<void>;
}

/** Answers a request. */
export type HttpHandler = (
  request: Request,
  context: HttpContext,
) => Response | Promise<Response>;

/** Settings of an HTTP worker. */
export interface ServeOptions extends WorkerOptions {
  /**
   * Makes an answer of what the handler threw. Without it the supervisor answers with its
   * `internal_error_code` and logs the error.
   */
  onError?: (error: unknown) => Response | Promise<Response>;
}

/** `Request` takes none of these. */
const FORBIDDEN = new Set(["CONNECT", "TRACE", "TRACK"]);
const WITHOUT_BODY = new Set(["GET", "HEAD"]);
const AUTHORITY = /^https?:\/\/([^/?#]+)/;
const MULTIPART = /^multipart\/form-data/i;

const decoder = new TextDecoder();

/** Answers requests until the supervisor says stop; the process ends then. */
export function serve(handler: HttpHandler, options: ServeOptions = {}): Promise<never> {
  return run("http", (turn) => exchange(turn, handler, options), options);
}

async function exchange(turn: Turn, handler: HttpHandler, options: ServeOptions): Promise<void> {
  const head = readHead(turn.flags, turn.context);
  await sendResponse(turn, head.method, await respond(turn, head, handler, options));
}

async function respond(
  turn: Turn,
  head: Head,
  handler: HttpHandler,
  { onError }: ServeOptions,
): Promise<Response> {
  if (FORBIDDEN.has(head.method)) return new Response(null, { status: 405 });
  const fields = head.parsed ? fieldsIn(turn.body) : null;
  const request = requestOf(head, turn.body, fields);
  const { remoteAddr, protocol, cookies, rawQuery, parsed, uploads, attributes } = head;
  const context: HttpContext = {
    remoteAddr,
    protocol,
    cookies,
    rawQuery,
    parsed,
    uploads,
    attributes,
    body: turn.body,
    fields,
    earlyHints: (headers) => sendHints(turn, headers),
  };
  try {
    return await handler(request, context);
  } catch (error) {
    if (onError === undefined || error instanceof ReplaceWorker) throw error;
    return await onError(error);
  }
}

/** The tree of a form; RoadRunner sends nothing for an empty one. */
function fieldsIn(body: Uint8Array): Tree<string> {
  return body.length === 0 ? {} : JSON.parse(decoder.decode(body));
}

/** @throws TypeError when the web's types do not take it (a port out of range …) */
function requestOf(head: Head, body: Uint8Array, fields: Tree<string> | null): Request {
  const headers = new Headers();
  for (const [name, values] of head.headers) {
    for (const value of values) headers.append(name, value);
  }
  const authority = AUTHORITY.exec(head.uri)?.[1];
  if (authority !== undefined && !headers.has("host")) headers.set("host", authority);
  // Nobody can be asked for in the name of the path.
  const url = authority === undefined ? head.uri.replace("://", "://localhost") : head.uri;
  if (WITHOUT_BODY.has(head.method)) return new Request(url, { method: head.method, headers });
  const { method } = head;
  if (fields === null) return new Request(url, { method, headers, body: body as BodyInit });
  if (!MULTIPART.test(headers.get("content-type") ?? "")) {
    const form = new URLSearchParams(pairsOf(fields)).toString();
    return new Request(url, { method, headers, body: form });
  }
  // The parts are gone; what they held is here.
  const request = new Request(url, { method, headers });
  const formData = () => formOf(fields, head.uploads);
  return Object.defineProperty(request, "formData", { value: formData });
}
