/**
 * Waits for the end of a process that is not our child.
 *
 * A descriptor of the process (pidfd, Linux 5.3) is opened first, so a number that is given to
 * another process meanwhile deceives nobody; it becomes readable when the process ends. The wait is
 * one poll(2) on a thread of the runtime: for commands, not for the daemon, which has no thread to
 * spare.
 *
 * Invariant: never waits longer than asked, never signals, never reaps.
 */

/** pidfd_open, the same number on x86-64 and arm64. */
const PIDFD_OPEN = 434;

const POLLIN = 1;

/** Bytes of a struct pollfd: int fd, short events, short revents. */
const POLLFD_SIZE = 8;

/** A process whose end can be awaited. */
export class ProcessEnd implements Disposable {
  readonly #libc = Deno.dlopen("libc.so.6", {
    syscall: { parameters: ["i64", "i64", "i64"], result: "i64" },
    poll: { parameters: ["buffer", "usize", "i32"], result: "i32", nonblocking: true },
    close: { parameters: ["i32"], result: "i32" },
  });
  readonly #fd: number;

  /** Takes hold of the process that has this number now. */
  constructor(pid: number) {
    this.#fd = Number(this.#libc.symbols.syscall(BigInt(PIDFD_OPEN), BigInt(pid), 0n));
  }

  /**
   * Resolves with true when it has ended, with false after `ms` milliseconds, or at once with
   * undefined when it cannot be known (no such process here, an old kernel).
   */
  async within(ms: number): Promise<boolean | undefined> {
    if (this.#fd < 0) return undefined;
    const wanted = new Uint8Array(POLLFD_SIZE);
    const view = new DataView(wanted.buffer);
    view.setInt32(0, this.#fd, true);
    view.setInt16(4, POLLIN, true);
    return await this.#libc.symbols.poll(wanted, 1n, ms) > 0;
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) this.#libc.symbols.close(this.#fd);
    this.#libc.close();
  }
}
