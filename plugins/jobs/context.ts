/**
 * What a worker is sent for a job (protocol 10.1).
 *
 * Invariant: `headers` is always there, and `queue` too, which PHP otherwise calls "unknown".
 */

import { Flag } from "../../lib/goridge/codes.ts";
import type { PoolRequest } from "../../lib/pool/types.ts";
import type { Delivery } from "./driver.ts";

/** Characters of a job in `workers` and logs. */
const MOST_WHAT = 200;

const encoder = new TextEncoder();

/** The pipeline, as a worker is told of it. */
export interface ContextPipeline {
  readonly name: string;
  readonly settings: { readonly driver: string; readonly timeout: number };
}

/** The request for a delivery. */
export function requestOf(
  { name: pipeline, settings }: ContextPipeline,
  job: Delivery,
): PoolRequest {
  const { id, name, headers, payload } = job;
  const context = { id, job: name, driver: settings.driver, headers, queue: pipeline, pipeline };
  const what = `${pipeline} ${name}`;
  return {
    flags: Flag.raw,
    context: encoder.encode(JSON.stringify(context)),
    body: [payload],
    what: what.length > MOST_WHAT ? `${what.slice(0, MOST_WHAT)}…` : what,
    exec_ttl: settings.timeout > 0 ? settings.timeout : undefined,
  };
}
