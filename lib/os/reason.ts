/**
 * Why the system refused, in words: from an errno or from what Deno threw.
 *
 * Invariant: users read "no space left on device", never "os error 28" and never a stack.
 */

/** errno → name and words (numbers of x86-64 and arm64 Linux, which agree on these). */
const REASONS: Record<number, [string, string]> = {
  1: ["EPERM", "not permitted"],
  2: ["ENOENT", "no such file or directory"],
  3: ["ESRCH", "no such process"],
  4: ["EINTR", "interrupted"],
  5: ["EIO", "input/output error"],
  6: ["ENXIO", "no such device or address"],
  7: ["E2BIG", "arguments and environment are too long"],
  8: ["ENOEXEC", "not an executable format"],
  9: ["EBADF", "bad file descriptor"],
  11: ["EAGAIN", "resource temporarily unavailable"],
  12: ["ENOMEM", "out of memory"],
  13: ["EACCES", "permission denied"],
  16: ["EBUSY", "device or resource busy"],
  17: ["EEXIST", "already exists"],
  18: ["EXDEV", "on another file system"],
  20: ["ENOTDIR", "not a directory"],
  21: ["EISDIR", "is a directory"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "too many open files in the system"],
  24: ["EMFILE", "too many open files"],
  26: ["ETXTBSY", "the file is being written"],
  27: ["EFBIG", "file too large"],
  28: ["ENOSPC", "no space left on device"],
  29: ["ESPIPE", "not a regular file"],
  30: ["EROFS", "read-only file system"],
  31: ["EMLINK", "too many links"],
  32: ["EPIPE", "broken pipe"],
  36: ["ENAMETOOLONG", "name too long"],
  38: ["ENOSYS", "not supported by this kernel"],
  39: ["ENOTEMPTY", "directory not empty"],
  40: ["ELOOP", "too many symbolic links"],
  95: ["EOPNOTSUPP", "operation not supported"],
  98: ["EADDRINUSE", "address already in use"],
  99: ["EADDRNOTAVAIL", "no interface of this machine has this address"],
  97: ["EAFNOSUPPORT", "address family not supported"],
  111: ["ECONNREFUSED", "connection refused"],
  122: ["EDQUOT", "disk quota exceeded"],
};

/** Name of an errno, e.g. `ENOSPC`; `errno 200` for one that is not listed. */
export function errnoName(number: number): string {
  return REASONS[number]?.[0] ?? `errno ${number}`;
}

/** Words for an errno. */
export function errnoReason(number: number): string {
  return REASONS[number]?.[1] ?? `error ${number} of the system`;
}

/** The errno of an error that Deno threw for a system call, if it tells. */
export function errnoOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const told = / \(os error (\d+)\)/.exec(error.message)?.[1];
  if (told !== undefined) return Number(told);
  const code = (error as { code?: unknown }).code;
  for (const [number, [name]] of Object.entries(REASONS)) {
    if (name === code) return Number(number);
  }
  return undefined;
}

/** The code (`ENOENT` …) of an error that Deno threw, if it tells. */
export function codeOf(error: unknown): string | undefined {
  const number = errnoOf(error);
  return number === undefined ? undefined : errnoName(number);
}

/** Why a system call that threw `error` did not work, in words. */
export function reasonOf(error: unknown): string {
  const number = errnoOf(error);
  if (number !== undefined) return errnoReason(number);
  return error instanceof Error ? error.message : String(error);
}
