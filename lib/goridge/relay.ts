/**
 * The contract of a relay: frames to one worker and frames from it, whatever lies between (pipes, a
 * Unix socket, TCP).
 *
 * Invariant: a frame goes out whole and in order; what comes in is a checked frame or an end with a
 * reason. Nothing here knows what frames mean.
 */

/** A received frame. `payload` belongs to whoever received it. */
export interface Frame {
  /** Byte 1: codec, CONTROL, ERROR. */
  readonly flags: number;
  /** Byte 10: STREAM, STOP, PING, PONG. */
  readonly bits: number;
  /** 32-bit words after the fixed header. */
  readonly options: readonly number[];
  readonly payload: Uint8Array;
}

/** A frame to send; the payload is the parts one after the other. */
export interface OutFrame {
  /** A frame in bytes that goes out in front of this one, in the same write. */
  lead?: Uint8Array;
  flags: number;
  bits?: number;
  options?: readonly number[];
  parts?: readonly Uint8Array[];
}

/** What came is no frame: the text that stood there is what the worker printed. */
export class FrameBroken extends Error {
  override readonly name = "FrameBroken";

  /**
   * @param message what is wrong, for people: `the worker printed to stdout: "Warning: …"`
   * @param text the offending bytes, made printable and cut to a sensible length; "" when none
   * @param atEnd the peer closed inside a frame: nothing wrong came, but not all of it
   */
  constructor(message: string, readonly text: string = "", readonly atEnd = false) {
    super(message);
  }
}

/** Frames to and from one worker. One receiver at a time. */
export interface Relay {
  /**
   * The peer's system holds the second of two small frames back until we acknowledged the first (TCP,
   * Nagle's algorithm), which costs 40 ms.
   */
  readonly lags?: boolean;
  /**
   * Told when bytes came that are no whole frame, before more of them are waited for: the beginning of
   * a frame, or what is none.
   */
  onBytes?: () => void;
  /**
   * Sends a frame; its first 12 bytes and options in one write. Frames go out in the order of the
   * calls, each whole, also when the one before is not out yet.
   * @returns false when the peer is gone; never throws for that
   */
  send(frame: OutFrame): Promise<boolean>;
  /**
   * The next frame; undefined when the peer closed between frames.
   * @throws FrameBroken when it closed inside one, or what came is no frame. Fatal: close() follows.
   */
  receive(): Promise<Frame | undefined>;
  /** Ends both directions now; a pending receive() resolves undefined. Further calls do nothing. */
  close(): void;
}
