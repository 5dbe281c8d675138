/**
 * One socket: reads and writes that report by return value, so that a peer that resets at any
 * moment is a number and not an exception.
 *
 * Invariant: no promise from here rejects; after close() nothing is written and every pending read
 * and write ends.
 */

import { messageOf } from "../core/failure.ts";
import type { Sweeper } from "./sweeper.ts";

const NOT_WRITING = -1;
const NOTHING = new Uint8Array(0);
const NOT_WRITTEN = Promise.resolve(false);

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
  /** What the current write has left. */
  #view: Uint8Array = NOTHING;

  constructor(conn: Deno.Conn, sweeper: Sweeper) {
    this.#conn = conn;
    this.#sweeper = sweeper;
    // Answers are written whole; waiting for more only delays them. Unix sockets have no such thing.
    if ("setNoDelay" in conn) noDelay(conn as Deno.TcpConn);
  }

  /** Agrees on TLS, on sockets that speak it. @returns why not, if not */
  async handshake(): Promise<string | undefined> {
    if (!("handshake" in this.#conn)) return undefined;
    try {
      await (this.#conn as Deno.TlsConn).handshake();
    } catch (error) {
      return this.closed ? "it was cut before the handshake was done" : messageOf(error);
    }
    return undefined;
  }

  /** Reads once. @returns the count; 0: the peer ended; -1: broken. */
  read(view: Uint8Array): Promise<number> {
    return this.#conn.read(view).then(countOf, broken);
  }

  /**
   * As read(), with the result handed to `arrived` (null: the peer ended) or `failed` on its way:
   * one promise and no new function for each read.
   */
  readInto(
    view: Uint8Array,
    arrived: (count: number | null) => number,
    failed: () => number,
  ): Promise<number> {
    return this.#conn.read(view).then(arrived, failed);
  }

  /**
   * Writes all of `bytes[start, end)`; one write at a time.
   * @returns false when the peer is gone
   */
  write(bytes: Uint8Array, start: number, end: number): Promise<boolean> {
    this.taken = 0;
    if (this.closed) return NOT_WRITTEN;
    this.#writingSince = this.#sweeper.now;
    this.#view = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
    // Nearly every write is taken whole: no async function, one promise.
    return this.#conn.write(this.#view).then(this.#wrote, this.#failed);
  }

  readonly #wrote = (count: number): boolean | Promise<boolean> => {
    this.taken += count;
    this.progress = this.#sweeper.now;
    if (count < this.#view.length) {
      this.#writingSince = this.progress;
      this.#view = this.#view.subarray(count);
      return this.#conn.write(this.#view).then(this.#wrote, this.#failed);
    }
    this.#writingSince = NOT_WRITING;
    return true;
  };

  /** Reset, closed, timed out: to the caller it is all the same, nobody takes these bytes. */
  readonly #failed = (): boolean => {
    this.#writingSince = NOT_WRITING;
    return false;
  };

  /** True while a write has not been taken by the system. */
  get writing(): boolean {
    return this.#writingSince !== NOT_WRITING;
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
