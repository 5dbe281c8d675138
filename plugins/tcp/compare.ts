/**
 * How a change of the `tcp` section takes effect.
 *
 * | effect     | what                                                                  |
 * | ---------- | --------------------------------------------------------------------- |
 * | live       | delimiter, sizes, time-outs, limits; limits of the pool               |
 * | generation | what workers are started from or never change in; the section itself  |
 * | listener   | addresses; servers that come or go                                    |
 * | refused    | TLS, or another certificate, on the same address                      |
 *
 * Invariant: pure; every difference is told once.
 */

import { differences } from "../../lib/config/compare.ts";
import type { Change, Effect } from "../../lib/config/config.ts";
import { needsNewWorkers } from "../../lib/config/roadrunner/compare.ts";
import type { TcpConfig, TcpServerConfig } from "../../lib/config/roadrunner/tcp.ts";

const REFUSED =
  "a certificate is read when its address is opened; restart the daemon, or change addr too";

/** The differences of two values of the section; undefined: it is not there. */
export function compareTcp(old: unknown, next: unknown): Change[] {
  if (old === undefined || next === undefined) {
    if (old === next) return [];
    return [{ field: "tcp", effect: "generation", reason: next ? "added" : "removed" }];
  }
  const { servers: before, ...was } = old as TcpConfig;
  const { servers: after, ...is } = next as TcpConfig;
  const names = [...new Set([...Object.keys(after), ...Object.keys(before)])];
  return [
    ...names.flatMap((name) => compareServer(name, before[name], after[name])),
    ...differences("tcp", was, is, effectOf, (field) => field === "tcp.pool.command"),
  ];
}

function effectOf(field: string): Effect {
  return needsNewWorkers("tcp.pool", field) ? "generation" : "live";
}

function compareServer(
  name: string,
  old: TcpServerConfig | undefined,
  next: TcpServerConfig | undefined,
): Change[] {
  const field = `tcp.servers.${name}`;
  if (old === undefined || next === undefined) {
    return [{ field, effect: "listener", reason: next ? "added" : "removed" }];
  }
  const moved = differences("", old.addr, next.addr, () => "live").length > 0;
  const effect = (at: string): Effect => {
    if (at === `${field}.addr`) return "listener";
    const ofTls = at === `${field}.tls` || at.startsWith(`${field}.tls.`);
    return !ofTls ? "live" : moved ? "listener" : "refused";
  };
  return differences(field, old, next, effect, (at) => at === `${field}.addr`)
    .map((change) => change.effect === "refused" ? { ...change, reason: REFUSED } : change);
}
