/**
 * What middleware is, and what it is given.
 *
 * Invariant: made once for each configuration; a request that is under way keeps the one it came with.
 */

import type { Clock } from "../../../lib/core/clock.ts";
import type { Handler } from "../../../lib/http/mod.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import type { Metrics } from "../../../lib/telemetry/metrics.ts";

/** Puts something around a handler. */
export type Middleware = (next: Handler) => Handler;

/** What middleware needs of the outside. */
export interface MiddlewareHost {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly metrics: Metrics;
}
