/**
 * Whether a user could reach and execute a file: what the kernel would say to a program that runs as
 * that user, told before it is started.
 *
 * Invariant: looks only at owners and modes; where access lists say otherwise, the start will tell.
 */

import { dirname } from "@std/path";
import { readTextIfAny } from "./files.ts";
import type { Identity } from "./system.ts";

const EXECUTE = 0o1;

/** The first path on the way that the user may not pass or execute; undefined: it may. */
export function blockedFor(who: Identity, file: string): string | undefined {
  const groups = groupsOf(who);
  const way = [file];
  for (let at = file; at !== dirname(at); at = dirname(at)) way.unshift(dirname(at));
  return way.find((path) => !mayExecute(who, groups, path));
}

function mayExecute({ uid }: Identity, groups: ReadonlySet<number>, path: string): boolean {
  const info = Deno.statSync(path);
  const mode = info.mode ?? 0;
  if (uid === 0) return info.isDirectory || (mode & 0o111) !== 0;
  if (info.uid === uid) return (mode & (EXECUTE << 6)) !== 0;
  if (info.gid !== null && groups.has(info.gid)) return (mode & (EXECUTE << 3)) !== 0;
  return (mode & EXECUTE) !== 0;
}

function groupsOf({ user, gid }: Identity): Set<number> {
  const groups = new Set([gid]);
  for (const line of (readTextIfAny("/etc/group") ?? "").split("\n")) {
    const [, , id, members] = line.split(":");
    if (members?.split(",").includes(user)) groups.add(Number(id));
  }
  return groups;
}
