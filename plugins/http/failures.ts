/**
 * What the client hears when a request was not answered by a worker.
 *
 * | why                        | status                              | besides                       |
 * | -------------------------- | ----------------------------------- | ----------------------------- |
 * | ERROR frame                | `internal_error_code`, default 500  | its text in debug mode        |
 * | worker died, broken answer | `internal_error_code`, if written, else 502 |                       |
 * | `exec_ttl`                 | the same, else 504                  |                               |
 * | no worker came free        | the same, else 503                  | `No-Workers`, `Retry-After`   |
 * | `max_queue_size`           | 503                                 | `Retry-After`                 |
 * | the release ends           | 503                                 | `Retry-After`, closes         |
 *
 * Invariant: nothing of the inside is told to a client outside debug mode; a written code has an empty
 * body, as in RoadRunner.
 */

import { answer, BytesBody, type Exchange, noBody, ResponseHead } from "../../lib/http/mod.ts";
import type { PoolErrorKind } from "../../lib/pool/types.ts";

/** Status of an ERROR frame when none is written, as in RoadRunner. */
const SOFT_ERROR = 500;
const RETRY: [string, string] = ["Retry-After", "1"];
const NO_WORKERS: [string, string] = ["No-Workers", "true"];

/** How a failed request is answered. */
interface Reply {
  status: number;
  message: string;
  /** `internal_error_code` takes the place of `status`. */
  yields: boolean;
  fields?: [string, string][];
}

const DIED: Reply = { status: 502, message: "the worker ended in mid-request", yields: true };

const REPLIES: Record<Exclude<PoolErrorKind, "worker_error" | "cancelled">, Reply> = {
  died: DIED,
  broken: { status: 502, message: "the worker gave no valid answer", yields: true },
  stopping: { status: 502, message: "the workers gave no answer", yields: true },
  timeout: { status: 504, message: "the worker did not answer in time", yields: true },
  no_worker: {
    status: 503,
    message: "no worker is free",
    yields: true,
    fields: [NO_WORKERS, RETRY],
  },
  queue_full: { status: 503, message: "too many requests wait", yields: false, fields: [RETRY] },
  destroyed: {
    status: 503,
    message: "the release that was answering is being stopped",
    yields: false,
    fields: [RETRY],
  },
};

/** How failures are told to clients. */
export interface FailureRules {
  /** `internal_error_code`; undefined: not written. */
  code: number | undefined;
  /** The pool is in debug mode: clients see the text of errors. */
  debug: boolean;
}

/**
 * Answers for a worker, unless the exchange was answered already.
 * @returns the status
 */
export async function apologise(
  exchange: Exchange,
  kind: PoolErrorKind,
  text: string,
  { code, debug }: FailureRules,
): Promise<number> {
  if (kind === "cancelled") return 0;
  if (kind === "worker_error") {
    const status = code ?? SOFT_ERROR;
    await sendCode(exchange, status, debug ? text : "");
    return status;
  }
  const { status, message, yields, fields } = REPLIES[kind];
  if (!yields || code === undefined) {
    await answer(exchange, status, message, fields, kind === "destroyed");
    return status;
  }
  await sendCode(exchange, code, debug ? text : "", kind === "no_worker" ? [NO_WORKERS] : []);
  return code;
}

async function sendCode(
  exchange: Exchange,
  status: number,
  text: string,
  fields: [string, string][] = [],
): Promise<void> {
  if (exchange.answered || exchange.gone) return;
  if (text === "") return await exchange.respond(ResponseHead.of(status, fields), noBody());
  const head = ResponseHead.of(status, [["Content-Type", "text/html; charset=utf-8"], ...fields]);
  await exchange.respond(head, new BytesBody(new TextEncoder().encode(escaped(text))));
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (c) => ENTITIES[c]);
}
