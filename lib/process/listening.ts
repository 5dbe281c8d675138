/**
 * Who listens on a port: the program itself, or a stranger?
 *
 * An answer on the right port proves nothing by itself: a predecessor, or any other program, may
 * hold it. The listening socket belongs to whoever has it open.
 *
 * Invariant: says `stranger` only when all owners of the socket are known and none of them is of the
 * group; what cannot be looked up (another user's program, as non-root) is `unknown`, never a guess.
 */

import type { System } from "../os/system.ts";

/** Owner of a listening socket as seen from one group. */
export type Owner =
  | { who: "own" | "unknown" | "nobody" }
  | { who: "stranger"; pid: number; command: string };

/** Looks the socket up that a connection to `host:port` meets. */
export function ownerOf(
  system: System,
  leader: number,
  address: { host: string; port: number },
): Owner {
  const listeners = nearest(system.listeners(address.port, pidsOf(system, leader)), address.host);
  // Read again, after the sockets: whoever listens may have been forked between the two.
  const own = new Set(pidsOf(system, leader));
  if (listeners.length === 0) return { who: "nobody" };
  const pids = listeners.flatMap((listener) => listener.pids);
  if (pids.some((pid) => own.has(pid))) return { who: "own" };
  if (listeners.some((listener) => listener.pids.length === 0)) return { who: "unknown" };
  const pid = pids[0];
  return { who: "stranger", pid, command: system.row(pid)?.command ?? "?" };
}

/** The leader, also when it just ended, and the living members of its group. */
function pidsOf(system: System, leader: number): number[] {
  return [leader, ...system.group(leader).members.map((member) => member.pid)];
}

/** For people: `pid 4242 (nginx)`. */
export function describeOwner({ pid, command }: { pid: number; command: string }): string {
  return `pid ${pid} (${command})`;
}

/** The kernel prefers the exact address, then the wildcard of the family, then dual-stack `::`. */
function nearest(
  listeners: { address: string; pids: number[] }[],
  host: string,
): { address: string; pids: number[] }[] {
  for (const addresses of preference(host)) {
    const found = listeners.filter(({ address }) => addresses.includes(address));
    if (found.length > 0) return found;
  }
  return listeners;
}

function preference(host: string): string[][] {
  if (host === "localhost") return [["127.0.0.1", "::1", "::ffff:127.0.0.1"], ["0.0.0.0", "::"]];
  if (host.includes(":")) return [[host], ["::"]];
  return [[host, `::ffff:${host}`], ["0.0.0.0"], ["::", "::ffff:0.0.0.0"]];
}
