/**
 * The status of a daemon as tables.
 *
 * Invariant: pure, and the same on a terminal and in a pipe but for colours; what is wrong (a failed
 * process, an orphan, a release that cannot be restored) is always shown.
 */

import type { ReleaseStatus, Status } from "../../control/operations.ts";
import { formatSize } from "../../core/size.ts";
import type { ProcessSnapshot, ProcessState } from "../../process/types.ts";
import { count, span, took } from "./amount.ts";
import { harmless, type Paint, type Style } from "./paint.ts";
import { type Cell, table } from "./table.ts";
import { poolsText } from "./workers.ts";

const PROCESS_STYLES: Partial<Record<ProcessState, Style>> = {
  running: "green",
  starting: "yellow",
  stopping: "yellow",
  backoff: "red",
  failed: "red",
};

const RELEASE_STYLES: Partial<Record<ReleaseStatus["state"], Style>> = {
  active: "green",
  starting: "yellow",
  draining: "yellow",
  stopping: "yellow",
  failed: "red",
};

/** @param now wall time, milliseconds since 1970 */
export function statusText(status: Status, now: number, paint: Paint): string {
  const parts = [head(status, now, paint)];
  if (status.releases.length > 0) parts.push(releases(status.releases, now, paint));
  else parts.push("no release yet: supervisor deploy --release-path DIR\n");
  const pools = status.releases.flatMap((release) => release.pools);
  if (pools.length > 0) parts.push(poolsText(pools, paint));
  const processes = processRows(status, now);
  if (processes.length > 0) {
    const headings = [
      ...["PROCESS", "OF", "STATE", ">PID", ">PORT", ">UPTIME", ">MEMORY", ">RESTARTS", "NOTE"],
    ];
    parts.push(table(headings, processes, paint));
  }
  return parts.join("\n");
}

/** What stop did. */
export function stoppedText(status: Status): string {
  const draining = status.releases.filter((release) => release.state === "draining")
    .map(({ release_id, leases }) => `${harmless(release_id)} (${count(leases, "lease")})`);
  const live = status.active_release_id;
  const first = live === null ? "no release is live" : `${harmless(live)} is live`;
  return draining.length === 0 ? `${first}\n` : `${first}; draining: ${draining.join(", ")}\n`;
}

function head(status: Status, now: number, paint: Paint): string {
  const { application, state, pid, version, uptime_ms, rss_bytes, proxy } = status;
  const facts = [
    `pid ${pid}`,
    `up ${span(uptime_ms)}`,
    formatSize(rss_bytes),
    `supervisor ${version}`,
  ];
  const coloured = state === "running" ? paint("green", state) : paint("yellow", state);
  const lines = [`${paint("bold", harmless(application))}  ${coloured}  ${facts.join("  ")}`];
  if (proxy !== undefined) {
    const { address, connections, requests, holding, waiting } = proxy;
    const load = [
      count(connections, "connection"),
      count(requests, "request"),
      count(status.leases, "lease"),
    ];
    if (holding) load.push(paint("yellow", `holding ${count(waiting, "request")}`));
    lines.push(`proxy ${address}  ${load.join(", ")}`);
  }
  for (const { name, address, connections, requests } of status.intakes) {
    if (name === "proxy") continue;
    const load = [connections, requests].every((one) => one !== undefined)
      ? `  ${count(connections!, "connection")}, ${count(requests!, "request")}`
      : "";
    lines.push(`${harmless(name)} ${harmless(address)}${load}`);
  }
  return `${[...lines, ...notes(status, now, paint)].join("\n")}\n`;
}

/** What somebody should know or do something about. */
function notes(status: Status, now: number, paint: Paint): string[] {
  const { operation, restore, intakes, orphans, counters } = status;
  const lines: string[] = [];
  if (operation !== null) {
    const { name, since, waiting } = operation;
    const queue = waiting.length === 0 ? "" : `, waiting: ${waiting.map(harmless).join(", ")}`;
    lines.push(`${paint("cyan", "now:")} ${harmless(name)} for ${ago(since, now)}${queue}`);
  }
  if (restore !== undefined) {
    const next = until(restore.next_try_at, now);
    const what = `release ${harmless(restore.release_id)} could not be restored`;
    lines.push(`${paint("red", "restore:")} ${what}: ${harmless(restore.error)}; next try ${next}`);
  }
  for (
    const { name, error, next_try_at } of intakes.flatMap(({ unreachable = [] }) => unreachable)
  ) {
    const next = next_try_at === undefined ? "" : `; next try ${until(next_try_at, now)}`;
    lines.push(
      `${paint("red", "not reached:")} ${harmless(name)}: ${harmless(error)}${next}`,
    );
  }
  if (orphans.length > 0) {
    const names = orphans.map(({ id, pid }) => `${harmless(id)} (pid ${pid})`).join(", ");
    lines.push(`${paint("yellow", "orphans:")} ${names}`);
  }
  if (counters.internal_errors > 0) {
    const what = count(counters.internal_errors, "internal error");
    lines.push(`${paint("red", "bugs:")} ${what}, see supervisor events`);
  }
  return lines;
}

function releases(all: readonly ReleaseStatus[], now: number, paint: Paint): string {
  const rows = all.map((release): Cell[] => {
    const { release_id, state, revision, leases, connections, release_path } = release;
    return [
      { text: release_id, style: "bold" },
      { text: state, style: RELEASE_STYLES[state] ?? "dim" },
      revision === release_id ? undefined : revision,
      ago(since(release), now),
      String(leases),
      String(connections.http),
      connections.websocket > 0 ? String(connections.websocket) : undefined,
      release.drain_left_ms === undefined ? undefined : `${took(release.drain_left_ms)} left`,
      release_path,
    ];
  });
  const headings = [
    ...["RELEASE", "STATE", "REVISION", ">FOR", ">LEASES", ">HTTP", ">WEBSOCKET", "DRAIN", "PATH"],
  ];
  return table(headings, rows, paint);
}

/** Since when a release is in its state. */
function since(release: ReleaseStatus): string {
  switch (release.state) {
    case "active":
      return release.activated_at ?? release.started_at;
    case "draining":
    case "stopping":
      return release.drain_started_at ?? release.activated_at ?? release.started_at;
    case "stopped":
    case "failed":
      return release.stopped_at ?? release.started_at;
    case "starting":
      return release.started_at;
  }
}

function processRows(status: Status, now: number): Cell[][] {
  return [
    ...status.services.map(({ process }) => processRow(process, "service", now)),
    ...status.singletons.map(({ process }) => processRow(process, "singleton", now)),
    ...status.releases.flatMap(({ release_id, processes }) =>
      processes.map((process) => processRow(process, release_id, now))
    ),
  ];
}

function processRow(process: ProcessSnapshot, of: string, now: number): Cell[] {
  const { id, state, healthy, pid, port, uptime_ms, rss_bytes, restarts } = process;
  const shown = state === "running" && !healthy ? "unhealthy" : state;
  const style = shown === "unhealthy" ? "red" : PROCESS_STYLES[state] ?? "dim";
  return [
    id,
    of,
    { text: shown, style },
    pid === undefined ? undefined : String(pid),
    port === undefined ? undefined : String(port),
    uptime_ms === undefined ? undefined : span(uptime_ms),
    rss_bytes === undefined ? undefined : formatSize(rss_bytes),
    String(restarts + process.memory_restarts),
    note(process, now),
  ];
}

function note({ reason, next_start_at, memory_restarts }: ProcessSnapshot, now: number): string {
  const parts: string[] = [];
  if (reason !== undefined) parts.push(reason);
  if (next_start_at !== undefined) parts.push(`next try ${until(next_start_at, now)}`);
  if (memory_restarts > 0) parts.push(`${memory_restarts} for memory`);
  return parts.join("; ");
}

function ago(stamp: string, now: number): string {
  return span(Math.max(0, now - Date.parse(stamp)));
}

function until(stamp: string, now: number): string {
  const left = Date.parse(stamp) - now;
  return left <= 0 ? "now" : `in ${span(Math.max(1000, left))}`;
}
