/**
 * Processes held by a descriptor (pidfd, Linux 5.3): a number that is given to another process
 * meanwhile deceives nobody.
 *
 * The wait is one poll(2) on a thread of the runtime: for commands, not for the daemon, which has no
 * thread to spare. Numbers of system calls are the same on x86-64 and arm64.
 *
 * Invariant: what is signalled through a descriptor is the process that had the number when it was
 * opened, or nobody.
 */

const PIDFD_OPEN = 434n;
const PIDFD_SEND_SIGNAL = 424n;

const POLLIN = 1;

/** Bytes of a struct pollfd: int fd, short events, short revents. */
const POLLFD_SIZE = 8;

// Opened with the module and kept for ever, as in ffi.ts; that one has no calls that wait.
const libc = Deno.dlopen("libc.so.6", {
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64"], result: "i64" },
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32", nonblocking: true },
  close: { parameters: ["i32"], result: "i32" },
}).symbols;

/** A descriptor of the process that has this number now; undefined: there is none, or an old kernel. */
export function openPidfd(pid: number): number | undefined {
  const fd = Number(libc.syscall(PIDFD_OPEN, BigInt(pid), 0n, 0n, 0n));
  return fd < 0 ? undefined : fd;
}

/** Sends a signal to the very process. False: it has ended, or is not ours to signal. */
export function signalPidfd(fd: number, signal: number): boolean {
  return Number(libc.syscall(PIDFD_SEND_SIGNAL, BigInt(fd), BigInt(signal), 0n, 0n)) === 0;
}

/** Waits up to `ms` milliseconds until one of them has ended. @returns those that have */
export async function pollPidfds(fds: readonly number[], ms: number): Promise<number[]> {
  const polled = new Uint8Array(fds.length * POLLFD_SIZE);
  const view = new DataView(polled.buffer);
  fds.forEach((fd, i) => {
    view.setInt32(i * POLLFD_SIZE, fd, true);
    view.setInt16(i * POLLFD_SIZE + 4, POLLIN, true);
  });
  await libc.poll(polled, BigInt(fds.length), Math.min(Math.ceil(ms), 2 ** 31 - 1));
  return fds.filter((_, i) => view.getInt16(i * POLLFD_SIZE + 6, true) !== 0);
}

export function closePidfd(fd: number): void {
  libc.close(fd);
}
