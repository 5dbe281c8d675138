/**
 * Frames as bytes.
 *
 * | offset | size | field                                                                  |
 * | ------ | ---- | ---------------------------------------------------------------------- |
 * | 0      | 1    | version 1 in the high half, words of the header (3 + options) in the low |
 * | 1      | 1    | flags                                                                  |
 * | 2      | 4    | length of the payload                                                  |
 * | 6      | 4    | CRC-32 of bytes 0 to 5                                                 |
 * | 10     | 1    | stream bits                                                            |
 * | 11     | 1    | 0                                                                      |
 * | 12     | 4 n  | options                                                                |
 *
 * Little-endian throughout.
 *
 * Invariant: what is written here is what decoder.ts takes.
 */

import { HEADER_SIZE, HEADER_WORDS, MAX_OPTIONS, MAX_PAYLOAD, VERSION } from "./codes.ts";
import { crc32 } from "./crc32.ts";
import type { OutFrame } from "./relay.ts";

const NONE: readonly never[] = [];
const NOTHING = new Uint8Array(0);

/** Bytes up to which a frame goes out as one piece: what an empty pipe takes at once. */
const ONE_PIECE = 64 * 1024;

/** A whole frame in one piece. @throws RangeError when it has no place in the format */
export function encode(frame: OutFrame): Uint8Array<ArrayBuffer> {
  return join(frame, frame.parts ?? NONE);
}

/**
 * A frame as pieces to be written one after the other. The first has the whole header with the options
 * and, unless that is large, the first part: PHP reads the header with a single read and gives up when
 * it gets less. Large parts are not copied.
 *
 * @throws RangeError when it has no place in the format
 */
export function pieces(frame: OutFrame): Uint8Array[] {
  const parts = frame.parts ?? NONE;
  if (sizeOf(parts) <= ONE_PIECE) return [join(frame, parts)];
  const joined = parts[0].length <= ONE_PIECE ? 1 : 0;
  return [join(frame, parts.slice(0, joined)), ...parts.slice(joined)];
}

function join(frame: OutFrame, parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const options = frame.options ?? NONE;
  const lead = frame.lead ?? NOTHING;
  const length = sizeOf(frame.parts ?? NONE);
  if (options.length > MAX_OPTIONS) throw new RangeError(`${options.length} options in a frame`);
  if (length > MAX_PAYLOAD) throw new RangeError(`a payload of ${length} bytes in a frame`);
  const head = HEADER_SIZE + 4 * options.length;
  const whole = new Uint8Array(lead.length + head + sizeOf(parts));
  whole.set(lead);
  const bytes = whole.subarray(lead.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  bytes[0] = (VERSION << 4) | (HEADER_WORDS + options.length);
  bytes[1] = frame.flags;
  view.setUint32(2, length, true);
  view.setUint32(6, crc32(bytes, 0, 6), true);
  bytes[10] = frame.bits ?? 0;
  options.forEach((option, at) => view.setUint32(HEADER_SIZE + 4 * at, option, true));
  let at = head;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return whole;
}

function sizeOf(parts: readonly Uint8Array[]): number {
  let size = 0;
  for (const part of parts) size += part.length;
  return size;
}
