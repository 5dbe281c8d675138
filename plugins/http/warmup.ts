/**
 * The request that every new worker answers before it takes others (`pool.warmup.path`).
 *
 * Invariant: it is a request like any other to the worker; it is over when its promise settles.
 */

import { Failure } from "../../lib/core/failure.ts";
import type { HttpConfig } from "../../lib/config/roadrunner/http.ts";
import { latin1 } from "../../lib/http/bytes.ts";
import { RequestHead } from "../../lib/http/mod.ts";
import type { Answer, PoolRequest, PoolSpec } from "../../lib/pool/types.ts";
import { readAnswerHead } from "./answer_head.ts";
import { contextOf } from "./context.ts";

const LEAST_BAD = 500;

/** Makes the warm-up of a pool; undefined: there is none. */
export function warmupOf({ pool, encoding }: HttpConfig): PoolSpec["warmup"] {
  if (pool.warmup === undefined) return undefined;
  const { path } = pool.warmup;
  const request = warmupRequest(path, encoding);
  return async (exec) => {
    const answer = await exec(request);
    const { status } = await finalHead(answer, path);
    if (status >= LEAST_BAD) {
      throw new Failure(`the warm-up request GET ${path} was answered with ${status}`, {
        fix: "correct what the application does there, or change http.pool.warmup.path",
      });
    }
  };
}

/** The head after interim ones; the rest of the answer is not wanted. */
async function finalHead(answer: Answer, path: string): Promise<{ status: number }> {
  try {
    let part: Answer | Awaited<ReturnType<Answer["next"]>> = answer;
    for (;;) {
      if (part === undefined) throw new Failure(`the warm-up request GET ${path} was not answered`);
      const head = readAnswerHead(part);
      if (head.status >= 200) return head;
      part = await answer.next();
    }
  } finally {
    answer.cancel();
  }
}

function warmupRequest(path: string, encoding: HttpConfig["encoding"]): PoolRequest {
  const bytes = latin1(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: supervisor\r\nAccept: */*\r\n\r\n`,
  );
  const head = new RequestHead();
  head.reset(bytes, 0, 0, 0);
  head.feed(bytes.length);
  const client = { address: "127.0.0.1", port: 0 };
  const { flags, context } = contextOf(encoding, {
    head,
    client,
    tls: false,
    parsed: false,
    uploads: null,
  });
  return { flags, context, body: [], what: `warm-up GET ${path}` };
}
