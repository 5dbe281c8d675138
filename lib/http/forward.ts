/**
 * Forwarding: a handler that answers exchanges with what a program of the live release says.
 *
 * | step    | fails by                         | then                                            |
 * | ------- | -------------------------------- | ----------------------------------------------- |
 * | lease   | nothing live, none ready         | 503 with Retry-After                            |
 * | connect | refused, timed out               | once again elsewhere, or after a pause; 502/504 |
 * | send    | connection was stale             | once again if nothing was sent, or it is safe   |
 * | head    | closed, garbage, too late        | the same; else 502 or 504                       |
 * | head    | the program ended (see below)    | the same, after a grace                         |
 * | body    | program dies                     | client's connection is cut                      |
 * | any     | client leaves                    | the program's connection is closed at once      |
 * | any     | the drain is cut                 | 503 if no answer began, else cut; tunnels 1012  |
 *
 * Invariants: every lease is released exactly when its attempt ends, however it ends; a request is
 * sent a second time only if nothing of the first was sent, or it is safe, without a body, and no
 * byte of an answer arrived; it is sent at most twice, and one connection that could not be made is
 * forgiven besides: a program that dies breaks the pooled connection first and refuses the next.
 *
 * A program's end may be seen later than a stranger takes its port. A request that got to the
 * stranger meanwhile, and has no byte of an answer, is taken away from it (Upstream.ended), and
 * that sending does not count.
 */

import { type Clock, sleep } from "../core/clock.ts";
import type { Gate, Lease } from "../core/gate.ts";
import type { Emit } from "../telemetry/events.ts";
import { answer } from "./answer.ts";
import { Attempt } from "./attempt.ts";
import type { Exchange, Handler } from "./exchange.ts";
import type { ForwardSettings } from "./settings.ts";
import type { Upstream } from "./upstream.ts";
import type { UpstreamSet } from "./upstream_set.ts";

/** What forwarding needs of the outside. */
export interface ForwardHost {
  clock: Clock;
  emit: Emit;
}

/**
 * Between an ended or refused connection and the next try: time for the exit of the program to be seen. In
 * steps, so that a daemon that was not given the processor for a while sees the exit before the time
 * is up.
 */
const PAUSE_MS = 10;
const PAUSES = 20;

/** The first, one on a fresh connection, one elsewhere. */
const MOST_ATTEMPTS = 3;

/**
 * Makes the handler. `gate` names the programs of the live release; `settings` is asked once for
 * each request, so a reload takes effect with the next one.
 */
export function forward(
  gate: Gate<UpstreamSet>,
  settings: () => ForwardSettings,
  host: ForwardHost,
): Handler {
  return async (exchange) => {
    const current = settings();
    const attempt = new Attempt(exchange, current, host);
    let except: Upstream | undefined;
    for (let count = 1;; count++) {
      const last = count === MOST_ATTEMPTS;
      const lease = gate.lease() ?? await arrive(gate, exchange);
      if (exchange.gone) return lease?.release();
      if (lease === undefined) {
        return await unavailable(exchange, current, "no release is live");
      }
      const upstream = lease.target.pick(except) ?? lease.target.pick();
      if (upstream === undefined) {
        lease.release();
        return await unavailable(exchange, current, "no program is ready to answer");
      }
      const outcome = await attempt.run(lease, upstream, last);
      if (outcome === "done") return;
      // Only a program that was taken out between pick and lease, each time, comes here.
      if (last) return await unavailable(exchange, current, "no program is ready to answer");
      if (outcome === "again") {
        // Its connection ended under the request: the program closed an idle one, or it just died, and
        // then its listener may take a connection for a moment longer than it lives.
        await sleep(host.clock, PAUSE_MS);
        if (exchange.gone) return;
      }
      if (outcome === "elsewhere") {
        except = upstream;
        // A program that is the only one gets a moment in which its end is noticed and held for.
        for (let pauses = 0; pauses < PAUSES && isSole(gate, upstream); pauses++) {
          await sleep(host.clock, PAUSE_MS);
          if (exchange.gone) return;
        }
      }
    }
  };
}

/** Whether `upstream` is believed to be ready, and nobody else is. */
function isSole(gate: Gate<UpstreamSet>, upstream: Upstream): boolean {
  return !gate.holding && upstream.ready && gate.live?.pick(upstream) === undefined;
}

/** Waits at a gate that holds arrivals back; gives up when the client leaves. */
async function arrive(
  gate: Gate<UpstreamSet>,
  exchange: Exchange,
): Promise<Lease<UpstreamSet> | undefined> {
  if (!gate.holding) return undefined;
  const leaving = new AbortController();
  exchange.onGone = () => leaving.abort();
  try {
    return await gate.arrive(leaving.signal);
  } catch (error) {
    if (leaving.signal.aborted) return undefined;
    throw error;
  } finally {
    exchange.onGone = undefined;
  }
}

async function unavailable(
  exchange: Exchange,
  settings: ForwardSettings,
  why: string,
): Promise<void> {
  const seconds = Math.max(1, Math.ceil(settings.hold / 1000));
  await answer(exchange, 503, why, [["Retry-After", String(seconds)]]);
}
