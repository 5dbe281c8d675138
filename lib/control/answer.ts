/**
 * Answers of the control API: JSON documents and failures.
 *
 * Invariant: whatever goes wrong, the body is a FailureJson without a stack trace, and the status
 * code follows from the failure alone. Every answer forbids caching and transformation: Deno 2.7
 * would compress it otherwise, which holds the lines of a stream back.
 */

import { Exit, type ExitCode, type FailureJson } from "../core/failure.ts";

/** HTTP status of a failure by its exit code. */
const STATUS: Record<ExitCode, number> = {
  [Exit.done]: 200,
  [Exit.failed]: 500,
  [Exit.usage]: 400,
  [Exit.config]: 422,
  [Exit.noDaemon]: 503,
  [Exit.running]: 409,
  [Exit.partly]: 500,
};

/** A failure of the request itself: the body to send and the HTTP status that says more than 400. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fix?: string,
    readonly headers: Record<string, string> = {},
    readonly exit: ExitCode = status >= 500 ? Exit.failed : Exit.usage,
  ) {
    super(message);
  }

  /** The body of the answer. */
  get json(): FailureJson {
    const { message: error, fix, exit } = this;
    return { status: "error", error, ...(fix === undefined ? {} : { fix }), exit };
  }
}

/** Headers of every answer. The connection is not kept: an idle one could not be told from a leak. */
export function headers(type: string): Record<string, string> {
  return { "content-type": type, "cache-control": "no-store, no-transform", connection: "close" };
}

/** One JSON document, with a newline so that it looks well in a terminal. */
export function json(body: unknown, status = 200, more: Record<string, string> = {}): Response {
  const head = { ...headers("application/json"), ...more };
  return new Response(`${JSON.stringify(body)}\n`, { status, headers: head });
}

/** A failure as an answer. */
export function failed(failure: FailureJson): Response {
  return json(failure, STATUS[failure.exit]);
}
