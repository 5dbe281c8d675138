/**
 * One socket: reads and writes that report by return value, so that a peer that resets at any
 * moment is a number and not an exception.
 *
 * Invariant: no promise from here rejects; after close() nothing is written and every pending read
 * and write ends.
 */

import type { Sweeper } from "./sweeper.ts";

const NOT_WRITING = -1;

/** A socket and how long its current write has been waiting. */
export class Wire {
  closed = false;
  /** Bytes of the last write that the system took. */
  taken = 0;
  /** When the last bytes were taken by the peer. */
  progress = 0;
  readonly #conn: Deno.Conn;
  readonly #sweeper: Sweeper;
  #writingSince = NOT_WRITING;

  constructor(conn: Deno.Conn, sweeper: Sweeper) {
    this.#conn = conn;
    this.#sweeper = sweeper;
    // Answers are written whole; waiting for more only delays them. Unix sockets have no such thing.
    if ("setNoDelay" in conn) noDelay(conn as Deno.TcpConn);
  }

  /** Reads once. @returns the count; 0: the peer ended; -1: broken. */
  read(view: Uint8Array): Promise<number> {
    return this.#conn.read(view).then(countOf, broken);
  }

  /** Writes all of `bytes[start, end)`. @returns false when the peer is gone. */
  async write(bytes: Uint8Array, start: number, end: number): Promise<boolean> {
    this.taken = 0;
    if (this.closed) return false;
    this.#writingSince = this.#sweeper.now;
    try {
      let at = start;
      do {
        at += await this.#conn.write(
          at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end),
        );
        this.taken = at - start;
        this.progress = this.#writingSince = this.#sweeper.now;
      } while (at < end);
      return true;
    } catch {
      // Reset, closed, timed out: to the caller it is all the same, nobody takes these bytes.
      return false;
    } finally {
      this.#writingSince = NOT_WRITING;
    }
  }

  /** True when a write has been waiting for `limit` milliseconds (0: never). */
  stalled(now: number, limit: number): boolean {
    return limit > 0 && this.#writingSince !== NOT_WRITING && now - this.#writingSince >= limit;
  }

  /** Sends end-of-stream; reading goes on. */
  async closeWrite(): Promise<void> {
    if (this.closed) return;
    try {
      await this.#conn.closeWrite();
    } catch {
      // The peer is gone already: that is as closed as it gets.
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.#conn.close();
    } catch {
      // Closed underneath us: the wanted state.
    }
  }
}

function countOf(count: number | null): number {
  return count ?? 0;
}

function broken(): number {
  return -1;
}

function noDelay(conn: Deno.TcpConn): void {
  try {
    conn.setNoDelay(true);
  } catch {
    // The peer has already reset the connection: the first read will tell.
  }
}
