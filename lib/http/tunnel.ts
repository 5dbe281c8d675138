/**
 * A connection that left HTTP (WebSocket or any other Upgrade): bytes both ways until both ends are
 * done.
 *
 * | event                    | effect                                                      |
 * | ------------------------ | ----------------------------------------------------------- |
 * | one side sends its end   | passed on; the other direction goes on                      |
 * | half-open and silent     | closed after `HALF_OPEN_MS`                                 |
 * | one side breaks          | both closed at once                                         |
 * | cut(), WebSocket         | close frame 1012 between two frames, then a second to leave |
 * | cut(), other protocols   | both closed at once                                         |
 *
 * Invariant: at most one window per direction is in memory; run() ends with both sides closed.
 */

import type { Clock, Timer } from "../core/clock.ts";
import type { ByteTunnel } from "./exchange.ts";
import type { UpstreamConnection } from "./upstream_connection.ts";
import { CLOSE_RESTART, FrameCounter } from "./websocket.ts";

/** Idle tunnels are many and silent: they start small and grow while reads fill the buffer. */
const FIRST_BUFFER = 4096;
const LAST_BUFFER = 65_536;
/** After one side ended, the other may be silent so long. */
const HALF_OPEN_MS = 60_000;
/** How long a WebSocket client has to take the close frame and leave. */
const FAREWELL_MS = 1000;

export class Tunnel {
  readonly #client: ByteTunnel;
  readonly #upstream: UpstreamConnection;
  readonly #clock: Clock;
  readonly #frames: FrameCounter | undefined;
  #timer: Timer | undefined;
  #moved = 0;
  #writingDown = false;
  #leaving = false;
  #saidGoodbye = false;
  #closed = false;

  constructor(
    client: ByteTunnel,
    upstream: UpstreamConnection,
    websocket: boolean,
    clock: Clock,
  ) {
    this.#client = client;
    this.#upstream = upstream;
    this.#clock = clock;
    this.#frames = websocket ? new FrameCounter() : undefined;
  }

  /** Relays until both directions ended; both sides are closed then. Never rejects. */
  async run(): Promise<void> {
    await Promise.all([this.#down(), this.#up()]);
    this.#close();
  }

  /** Ends the tunnel: the release behind it is going away. */
  cut(): void {
    if (this.#frames === undefined) return this.#close();
    if (this.#leaving) return;
    this.#leaving = true;
    this.#after(FAREWELL_MS, () => this.#close());
    if (!this.#writingDown && this.#frames.atBoundary) this.#sayGoodbye();
  }

  /** From the program to the client. */
  async #down(): Promise<void> {
    let buffer: Uint8Array = new Uint8Array(FIRST_BUFFER);
    for (;;) {
      const count = await this.#upstream.read(buffer);
      if (this.#saidGoodbye) return;
      if (count < 0) return this.#close();
      if (count === 0) break;
      this.#moved++;
      const boundary = this.#frames === undefined ? -1 : this.#frames.feed(buffer, 0, count);
      const last = this.#leaving && boundary >= 0;
      this.#writingDown = true;
      const sent = await this.#client.write(buffer, 0, last ? boundary : count);
      this.#writingDown = false;
      if (!sent) return this.#close();
      if (last || this.#leaving && this.#frames?.atBoundary) return await this.#sayGoodbye();
      buffer = fitting(buffer, count);
    }
    await this.#client.closeWrite();
    this.#watchHalfOpen();
  }

  /** From the client to the program. */
  async #up(): Promise<void> {
    let buffer: Uint8Array = new Uint8Array(FIRST_BUFFER);
    for (;;) {
      const count = await this.#client.read(buffer);
      if (count < 0) return this.#close();
      if (count === 0) break;
      this.#moved++;
      if (!await this.#upstream.wire.write(buffer, 0, count)) return this.#close();
      buffer = fitting(buffer, count);
    }
    if (this.#saidGoodbye) return this.#close();
    await this.#upstream.wire.closeWrite();
    this.#watchHalfOpen();
  }

  async #sayGoodbye(): Promise<void> {
    if (this.#saidGoodbye) return;
    this.#saidGoodbye = true;
    if (!await this.#client.write(CLOSE_RESTART, 0, CLOSE_RESTART.length)) return this.#close();
    await this.#client.closeWrite();
  }

  #watchHalfOpen(): void {
    if (this.#leaving || this.#closed) return;
    const moved = this.#moved;
    this.#after(HALF_OPEN_MS, () => {
      if (moved === this.#moved) this.#close();
      else this.#watchHalfOpen();
    });
  }

  #after(ms: number, run: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.timer(ms, run);
  }

  #close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#client.close();
    this.#upstream.close();
  }
}

/** A read that filled the buffer asks for a larger one. */
function fitting(buffer: Uint8Array, count: number): Uint8Array {
  if (count < buffer.length || buffer.length >= LAST_BUFFER) return buffer;
  return new Uint8Array(buffer.length * 4);
}
