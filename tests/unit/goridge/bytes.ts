/** Bytes as tests write them, and frames as they come out of a decoder fed piece by piece. */

import { FrameDecoder } from "../../../lib/goridge/decoder.ts";
import type { Frame } from "../../../lib/goridge/relay.ts";

/** `13 09 …` as bytes; what is in quotes is text. */
export function bytes(...pieces: string[]): Uint8Array<ArrayBuffer> {
  const all = pieces.flatMap((piece) =>
    piece.startsWith("'")
      ? [...utf8(piece.slice(1))]
      : piece.split(" ").filter((hex) => hex !== "").map((hex) => parseInt(hex, 16))
  );
  return Uint8Array.from(all);
}

/** Text as bytes. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Bytes as text. */
export function text(from: Uint8Array): string {
  return new TextDecoder().decode(from);
}

/** All of them, one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Feeds bytes to a decoder in pieces of the given sizes, over and over; its frames. */
export function decode(
  from: Uint8Array,
  sizes: readonly number[] = [from.length],
  decoder = new FrameDecoder(),
): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0, turn = 0; at < from.length; turn++) {
    const space = decoder.space();
    const size = Math.min(Math.max(1, sizes[turn % sizes.length]), space.length, from.length - at);
    space.set(from.subarray(at, at + size));
    // As the runtime does it: the buffer is another object afterwards.
    const { byteOffset } = space;
    decoder.filled(new Uint8Array(space.buffer.transfer(), byteOffset, size));
    at += size;
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      frames.push(frame);
    }
  }
  return frames;
}
