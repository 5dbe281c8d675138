/**
 * Who listens on a TCP port, and whether somebody could.
 *
 * The kernel lists sockets by inode and processes by descriptor; a listener's owner is found by
 * matching the two. Descriptors of other users can only be read by root: such a listener shows
 * without pids, which means "unknown", not "nobody".
 *
 * Invariant: what is listed listens at this moment in our network namespace; nothing here leaves a
 * socket behind.
 */

import { Failure } from "../core/failure.ts";
import { pids, readProc } from "./proc.ts";
import { codeOf, reasonOf } from "./reason.ts";
import type { PortState } from "./system.ts";

/** State LISTEN in /proc/net/tcp. */
const LISTEN = "0A";

/** A listening socket and the processes that hold it open, as far as we may look. */
export interface ListeningSocket {
  address: string;
  pids: number[];
}

/**
 * The listening sockets of a port.
 *
 * @param candidates pids that are looked through first; all others only for sockets not found there
 */
export function listenersOf(port: number, candidates: number[] = []): ListeningSocket[] {
  const byInode = new Map<string, ListeningSocket>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const { address, inode } of parseListeners(readProc(table) ?? "", port)) {
      byInode.set(inode, { address, pids: [] });
    }
  }
  if (byInode.size === 0) return [];
  findOwners(byInode, candidates);
  if ([...byInode.values()].some((socket) => socket.pids.length === 0)) {
    const seen = new Set(candidates);
    findOwners(byInode, [...pids()].filter((pid) => !seen.has(pid)));
  }
  return [...byInode.values()];
}

/** Tries to bind a listener, as {@linkcode Machine.portState}. */
export function portState(host: string, port: number): PortState {
  try {
    Deno.listen({ hostname: host, port }).close();
    return "free";
  } catch (error) {
    return codeOf(error) === "EADDRINUSE" ? "in_use" : { refused: reasonOf(error) };
  }
}

/** As {@linkcode Machine.ephemeralPort}. @throws Failure */
export function ephemeralPort(host: string): number {
  try {
    const listener = Deno.listen({ hostname: host, port: 0 });
    listener.close();
    return listener.addr.port;
  } catch (error) {
    throw new Failure(`cannot find a free port on "${host}": ${reasonOf(error)}`, { cause: error });
  }
}

/** Rows of /proc/net/tcp or tcp6 that listen on `port`. */
export function parseListeners(
  table: string,
  port: number,
): { address: string; inode: string }[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const found: { address: string; inode: string }[] = [];
  for (const line of table.split("\n")) {
    const fields = line.trim().split(/\s+/);
    const [host, hex] = fields[1]?.split(":") ?? [];
    if (fields[3] !== LISTEN || hex !== wanted) continue;
    found.push({ address: `${addressOf(host)}:${port}`, inode: fields[9] });
  }
  return found;
}

/** The kernel prints addresses as 32-bit words in the byte order of the machine (little endian). */
function addressOf(hex: string): string {
  const bytes: number[] = [];
  for (let word = 0; word < hex.length; word += 8) {
    for (let at = 6; at >= 0; at -= 2) {
      bytes.push(parseInt(hex.slice(word + at, word + at + 2), 16));
    }
  }
  if (bytes.length === 4) return bytes.join(".");
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i] * 256 + bytes[i + 1]).toString(16));
  return `[${new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1)}]`;
}

function findOwners(byInode: Map<string, ListeningSocket>, among: Iterable<number>): void {
  for (const pid of among) {
    const held = new Set<string>();
    for (const target of descriptorTargets(pid)) {
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined && byInode.has(inode)) held.add(inode);
    }
    for (const inode of held) byInode.get(inode)!.pids.push(pid);
  }
}

function* descriptorTargets(pid: number): Generator<string> {
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(`/proc/${pid}/fd`)];
  } catch {
    return; // ended, or another user's
  }
  for (const { name } of entries) {
    try {
      yield Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
    } catch {
      // Closed since it was listed.
    }
  }
}
