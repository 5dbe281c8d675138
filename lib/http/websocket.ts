/**
 * As much of WebSocket framing (RFC 6455, 5.2) as it takes to say goodbye between two frames.
 *
 * Invariant: counts lengths only; never changes, buffers or looks into what passes.
 */

/** Close frame from a server with status 1012, "service restart". */
export const CLOSE_RESTART = new Uint8Array([0x88, 0x02, 0x03, 0xf4]);

/** Follows the frames of one direction. */
export class FrameCounter {
  /** Bytes of the current header seen; 0: between two frames. */
  #header = 0;
  /** Bytes the current header has, as far as known. */
  #headerSize = 2;
  #lengthBytes = 0;
  #payload = 0;
  #masked = false;
  #inPayload = false;

  /** True between two frames. */
  get atBoundary(): boolean {
    return this.#header === 0 && !this.#inPayload;
  }

  /** `bytes[p, end)` passed. @returns the last position between two frames, or -1. */
  feed(bytes: Uint8Array, p: number, end: number): number {
    let boundary = this.atBoundary ? p : -1;
    while (p < end) {
      if (this.#inPayload) {
        const taken = Math.min(this.#payload, end - p);
        this.#payload -= taken;
        p += taken;
      } else {
        this.#headerByte(bytes[p++]);
      }
      if (this.#inPayload && this.#payload === 0) {
        this.#inPayload = false;
        this.#header = 0;
        boundary = p;
      }
    }
    return boundary;
  }

  #headerByte(byte: number): void {
    const index = this.#header++;
    if (index === 1) {
      this.#masked = (byte & 0x80) !== 0;
      const short = byte & 0x7f;
      this.#lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
      this.#payload = this.#lengthBytes === 0 ? short : 0;
      this.#headerSize = 2 + this.#lengthBytes + (this.#masked ? 4 : 0);
    } else if (index > 1 && index < 2 + this.#lengthBytes) {
      this.#payload = this.#payload * 256 + byte;
    }
    if (this.#header > 1 && this.#header === this.#headerSize) this.#inPayload = true;
  }
}
