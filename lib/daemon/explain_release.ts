/**
 * Why a release is in its state, and who keeps a draining one.
 *
 * Invariant: pure.
 */

import type { ReleaseStatus, Status, Workers } from "../control/operations.ts";
import { formatDuration } from "../core/duration.ts";
import type { EventRecord } from "../telemetry/events.ts";
import { doing } from "./explain_pool.ts";
import { nextTry } from "./explain_process.ts";

/** The sentences. @param events those about its id */
export function releaseReasons(
  release: ReleaseStatus,
  status: Status,
  workers: Workers,
  events: readonly EventRecord[],
  now: number,
): string[] {
  return [
    ...stateReasons(release, workers, events),
    ...troubled(release),
    ...restore(release, status, now),
  ];
}

function stateReasons(
  release: ReleaseStatus,
  workers: Workers,
  events: readonly EventRecord[],
): string[] {
  const { state, activated_at, drain_started_at, stopped_at, started_at } = release;
  switch (state) {
    case "active":
      return [`it is live since ${activated_at ?? started_at}`];
    case "starting":
      return [`it is being started since ${started_at}`];
    case "draining":
      return [`it is drained since ${drain_started_at}`, ...holders(release, workers)];
    case "stopping":
      return ["its processes are being stopped"];
    case "stopped":
      return [`it was stopped at ${stopped_at}${successor(release, events)}`];
    case "failed": {
      const failed = events.findLast(({ event }) => event === "deploy_failed");
      return [
        failed === undefined ? "it did not go live" : `it did not go live: ${failed.data.error}`,
      ];
    }
  }
}

/** Who holds leases on what drains. */
function holders(release: ReleaseStatus, { workers }: Workers): string[] {
  const { leases, drain_left_ms, connections, release_id } = release;
  if (leases === 0) return ["nobody holds it any more"];
  const cut = drain_left_ms === undefined
    ? ""
    : `; what is not over in ${formatDuration(drain_left_ms)} is cut`;
  const kinds = [
    ...connections.http === 0 ? [] : [`${connections.http} by HTTP requests`],
    ...connections.websocket === 0
      ? []
      : [`${connections.websocket} by WebSockets or other tunnels`],
  ];
  const by = kinds.length === 0 ? "" : ` (${kinds.join(", ")})`;
  const busy = workers.filter((one) => one.release_id === release_id && one.doing !== null);
  return [
    `${leases} ${leases === 1 ? "lease is" : "leases are"} held on it${by}${cut}`,
    ...busy.map(doing),
  ];
}

/** What took its place. */
function successor({ release_id }: ReleaseStatus, events: readonly EventRecord[]): string {
  const swap = events.findLast(({ event, data }) =>
    event === "traffic_switched" && data.previous === release_id
  );
  return swap === undefined ? "" : `, after "${swap.data.release}" took its place at ${swap.at}`;
}

/** Processes of it that are not well. */
function troubled({ state, processes, pools }: ReleaseStatus): string[] {
  if (state === "stopped" || state === "failed") return [];
  return [
    ...processes.filter((one) => one.state !== "running" || !one.healthy).map((one) =>
      `its process "${one.id}" is ${one.state === "running" ? "unhealthy" : one.state}${
        one.reason === undefined ? "" : `: ${one.reason}`
      }`
    ),
    ...pools.filter((one) => one.reason !== undefined).map((one) =>
      `its pool "${one.pool}" is ${one.state}: ${one.reason}`
    ),
  ];
}

function restore({ release_id }: ReleaseStatus, { restore }: Status, now: number): string[] {
  if (restore?.release_id !== release_id) return [];
  const next = nextTry(restore.next_try_at, now);
  return [`it could not be brought back: ${restore.error}; ${next}`];
}
