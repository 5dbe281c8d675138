/**
 * How many files we and our children may hold open.
 *
 * Decision: the daemon raises its own soft limit to the hard one, for it holds two sockets for every
 * request; children get back the soft limit the daemon was started with, because programs that use
 * select(2) break beyond 1024 descriptors and others walk or allocate up to the limit (that is why
 * systemd keeps 1024 as the soft limit). Whoever needs more raises its own, as we do: the hard limit is
 * left alone. The child's limit is set right after the spawn; its loader is still at work then.
 *
 * Invariant: a limit is never lowered below what we were started with.
 */

import { libc } from "./ffi.ts";

const RLIMIT_NPROC = 6;
const RLIMIT_NOFILE = 7;

/** Soft and hard limit of open files. */
export interface FileLimit {
  soft: bigint;
  hard: bigint;
}

let original: FileLimit | undefined;

/** The limit of a process (0: ourselves); undefined when it is gone or not ours to ask. */
export function fileLimit(pid = 0): FileLimit | undefined {
  return limitOf(pid, RLIMIT_NOFILE);
}

/** How many processes and threads our user may have. */
export function processLimit(): FileLimit | undefined {
  return limitOf(0, RLIMIT_NPROC);
}

function limitOf(pid: number, resource: number): FileLimit | undefined {
  const values = new BigUint64Array(2);
  if (libc().prlimit64(pid, resource, null, values) !== 0) return undefined;
  return { soft: values[0], hard: values[1] };
}

/** Raises our own soft limit to the hard one. @returns the limit before and now */
export function raiseFileLimit(): { before: FileLimit; now: FileLimit } | undefined {
  const before = fileLimit();
  if (before === undefined) return undefined; // no such limit: nothing to raise
  original ??= before;
  if (before.soft < before.hard) setFileLimit(0, { soft: before.hard, hard: before.hard });
  return { before: original, now: fileLimit() ?? before };
}

/** Gives a child the soft limit we were started with. Nothing happens if we never raised ours. */
export function restoreFileLimit(pid: number): void {
  if (original === undefined) return;
  const now = fileLimit(pid);
  // A child that is gone already needs no limit, and one that changed it meanwhile knows better.
  if (now !== undefined && now.soft > original.soft && now.soft === now.hard) {
    setFileLimit(pid, { soft: original.soft, hard: now.hard });
  }
}

/** Sets the limit of a process. False: not permitted, or no such process. */
export function setFileLimit(pid: number, limit: FileLimit): boolean {
  return libc().prlimit64(
    pid,
    RLIMIT_NOFILE,
    new BigUint64Array([limit.soft, limit.hard]),
    null,
  ) ===
    0;
}
