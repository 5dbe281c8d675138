/**
 * What `status` tells: a pure read over the parts of the daemon.
 *
 * Invariant: changes nothing and waits for nothing, so it answers while everything else hangs.
 */

import { stamp } from "../core/clock.ts";
import type { Health, Status } from "../control/operations.ts";
import { upstreamHost } from "../release/render.ts";
import { printed } from "../http/mod.ts";
import type { Context } from "./context.ts";
import { VERSION } from "../core/version.ts";

/** `GET /v1/health` */
export function health({ state, fleet, config }: Context): Health {
  return {
    status: state === "running" ? "ok" : state,
    live: fleet.active !== undefined,
    active_release_id: fleet.active?.release_id ?? null,
    application: config.application,
    config: config.file,
  };
}

/** `GET /v1/status` */
export function status(context: Context): Status {
  const { config, fleet, paths, clock, turn } = context;
  const releases = fleet.releases.map((release) => {
    const its = release.status();
    // The leases of what drains are the release's own; the live one's are still the gate's.
    return release === fleet.active ? { ...its, leases: its.leases + heldLive(context) } : its;
  });
  const { socket, mode, owner, group } = config.control;
  return {
    application: config.application,
    state: context.state,
    pid: Deno.pid,
    version: VERSION,
    started_at: stamp(context.started.wall),
    uptime_ms: Math.round(clock.now() - context.started.now),
    rss_bytes: Deno.memoryUsage().rss,
    config: config.file,
    state_dir: paths.state_dir,
    log_dir: paths.log_dir,
    active_release_id: fleet.active?.release_id ?? null,
    control: {
      path: socket ?? paths.socket,
      mode: mode.toString(8).padStart(3, "0"),
      ...(owner === undefined ? {} : { owner }),
      ...(group === undefined ? {} : { group }),
    },
    ...proxyStatus(context),
    intakes: fleet.intakes.map((intake) => intake.snapshot())
      .filter(({ address, state }) => address !== "" || state !== "closed"),
    releases,
    services: fleet.standing.status("service"),
    singletons: fleet.standing.status("singleton"),
    orphans: fleet.ground.orphans.list(),
    leases: releases.reduce((sum, release) => sum + release.leases, 0),
    operation: turn.doing === undefined ? null : { ...turn.doing, waiting: turn.waiting },
    ...(context.restore.status === undefined ? {} : { restore: context.restore.status }),
    counters: context.counters(),
  };
}

/** Work that the live release holds. */
function heldLive({ proxy, fleet }: Context): number {
  const busy = fleet.active?.pools.reduce((sum, pool) => sum + pool.snapshot().busy, 0) ?? 0;
  return proxy.gate.held + busy;
}

function proxyStatus({ proxy, config }: Context): Pick<Status, "proxy"> {
  const front = proxy.front;
  if (front === undefined) return {};
  return {
    proxy: {
      host: front.address.hostname,
      port: front.address.port,
      address: printed(front.address),
      upstream_host: upstreamHost(config),
      connections: front.connections,
      requests: front.served,
      holding: proxy.gate.holding,
      waiting: proxy.gate.waiting,
    },
  };
}
