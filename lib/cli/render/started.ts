/**
 * A daemon that was started, or was found running.
 *
 * Invariant: pure.
 */

import type { Started } from "../start.ts";

/** Pid, socket, addresses. */
export function startedText(started: Started): string {
  const { pid, socket, addresses, active_release_id, already_running, log_file } = started;
  const rows: [string, string | undefined][] = [
    ["pid", String(pid)],
    ["socket", socket],
    ["address", addresses.join(", ") || undefined],
    ["release", active_release_id ?? "none yet"],
    ["log", log_file],
  ];
  const facts = rows.filter(([, value]) => value !== undefined)
    .map(([name, value]) => `  ${name.padEnd(8)} ${value}`);
  const head = already_running ? "the daemon is running already" : "the daemon is ready";
  return `${[head, ...facts].join("\n")}\n`;
}
