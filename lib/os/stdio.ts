/**
 * Our own descriptors: pointing stdout and stderr elsewhere, and keeping stray ones from children.
 *
 * Invariant: a redirection that fails leaves the old target in place; there is no moment in which the
 * descriptor is closed.
 */

import { Failure } from "../core/failure.ts";
import { errno, libc, O_APPEND, O_CREAT, O_RDWR, O_WRONLY, openFd } from "./ffi.ts";
import { errnoReason } from "./reason.ts";

/** Mode of a log file that has to be created. */
const LOG_MODE = 0o600;

/** The first descriptor that is not stdin, stdout or stderr. */
const FIRST_STRAY = 3;
const F_SETFD = 2;
const LAST_DESCRIPTOR = 0xffffffff;
const CLOSE_RANGE_CLOEXEC = 4;

/**
 * Points stdin (0), stdout (1) or stderr (2) at a file: opened for appending and created when missing,
 * or a device such as /dev/null.
 *
 * @throws Failure when the file cannot be opened; the old target stays
 */
export function redirect(fd: 0 | 1 | 2, path: string): void {
  const flags = fd === 0 ? O_RDWR : O_WRONLY | O_APPEND | O_CREAT;
  const file = openFd(path, flags, LOG_MODE);
  if (file < 0) throw new Failure(`cannot open "${path}": ${errnoReason(errno())}`);
  if (file === fd) return void libc().fcntl(fd, F_SETFD, 0); // it was closed and is what we opened
  try {
    if (libc().dup2(file, fd) < 0) {
      throw new Failure(`cannot point descriptor ${fd} at "${path}": ${errnoReason(errno())}`);
    }
  } finally {
    libc().close(file);
  }
}

/** True when the descriptor is a terminal. */
export function isTerminal(fd: number): boolean {
  return libc().isatty(fd) === 1;
}

/**
 * Keeps descriptors that somebody left open in us (a shell, a service manager) from being inherited by
 * every child. False where the kernel (before 5.11) cannot do it; nothing else depends on it.
 */
export function sealDescriptors(): boolean {
  return libc().close_range?.(FIRST_STRAY, LAST_DESCRIPTOR, CLOSE_RANGE_CLOEXEC) === 0;
}
