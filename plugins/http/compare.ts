/**
 * How a change of the `http` section takes effect.
 *
 * | effect     | what                                                                            |
 * | ---------- | ------------------------------------------------------------------------------- |
 * | live       | limits, time-outs, access log, middleware, uploads; limits of the pool          |
 * | generation | what workers are started from or never change in: command, number, debug, encoding |
 * | listener   | addresses                                                                       |
 * | refused    | another certificate on the same address                                         |
 *
 * Invariant: pure; every difference is told once.
 */

import { differences } from "../../lib/config/compare.ts";
import type { Change, Effect } from "../../lib/config/config.ts";
import { needsNewWorkers } from "../../lib/config/roadrunner/compare.ts";
import type { HttpConfig } from "../../lib/config/roadrunner/http.ts";

const ADDRESSES = ["http.address", "http.ssl.address"];
const CERTIFICATE = ["http.ssl.cert", "http.ssl.key"];

/** The differences of two values of the section; undefined: it is not there. */
export function compareHttp(old: unknown, next: unknown): Change[] {
  if (old === undefined || next === undefined) {
    if (old === next) return [];
    return [{ field: "http", effect: "generation", reason: next ? "added" : "removed" }];
  }
  const moved = differences("", sslAddress(old), sslAddress(next), () => "live").length > 0;
  return differences("http", old, next, (field) => effectOf(field, moved), isWhole)
    .map((change) =>
      change.effect === "refused" ? { ...change, reason: CERTIFICATE_REASON } : change
    );
}

const CERTIFICATE_REASON =
  "a certificate is read when its address is opened; restart the daemon, or change ssl.address too";

function effectOf(field: string, moved: boolean): Effect {
  if (ADDRESSES.includes(field) || field === "http.ssl") return "listener";
  if (CERTIFICATE.includes(field)) return moved ? "listener" : "refused";
  if (field === "http.encoding" || needsNewWorkers("http.pool", field)) return "generation";
  return "live";
}

function isWhole(field: string): boolean {
  return ADDRESSES.includes(field) || field === "http.pool.command";
}

function sslAddress(http: unknown): unknown {
  return (http as HttpConfig).ssl?.address;
}
