/**
 * Goridge frames as bytes: header, options, payload.
 *
 *     0      1      2        6        10     11         12
 *     1|HL   flags  length   CRC-32   bits   reserved   options …   payload …
 *
 * Invariant: pure; numbers are little-endian, the checksum covers bytes 0 to 5, and what breaks one
 * of the rules is refused, never guessed at.
 */

/** Byte 1. */
export const Flag = { control: 0x01, json: 0x08, error: 0x40, proto: 0x80 } as const;

/** Byte 10. */
export const Bit = { stream: 0x01, stop: 0x02, ping: 0x04, pong: 0x08 } as const;

/** Length of the fixed part of a header. */
export const FIXED = 12;

const VERSION = 1;
const WORD = 4;
const CHECKED = 6;
const TABLE = crcTable();

/** A frame. */
export interface Frame {
  flags: number;
  bits: number;
  options: readonly number[];
  payload: Uint8Array;
}

/** What came is no frame. */
export class NoFrame extends Error {
  override readonly name = "NoFrame";
}

/** What a header says of what follows it. */
export interface Header {
  flags: number;
  bits: number;
  /** Bytes of options. */
  options: number;
  /** Bytes of payload. */
  payload: number;
}

/** A whole frame; the payload is `first` and then `second`. */
export function encode(
  flags: number,
  bits: number,
  options: readonly number[],
  first: Uint8Array,
  second: Uint8Array,
): Uint8Array {
  const begin = FIXED + WORD * options.length;
  const length = first.length + second.length;
  const bytes = new Uint8Array(begin + length);
  const view = new DataView(bytes.buffer);
  bytes[0] = VERSION << 4 | begin / WORD;
  bytes[1] = flags;
  view.setUint32(2, length, true);
  view.setUint32(CHECKED, crc(bytes), true);
  bytes[10] = bits;
  options.forEach((option, i) => view.setUint32(FIXED + WORD * i, option, true));
  bytes.set(first, begin);
  bytes.set(second, begin + first.length);
  return bytes;
}

/** Reads the fixed part. @throws NoFrame */
export function decodeHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FIXED);
  const words = bytes[0] & 0x0f;
  if (bytes[0] >> 4 !== VERSION || words < FIXED / WORD || view.getUint32(6, true) !== crc(bytes)) {
    throw new NoFrame(`no frame header: ${bytes.subarray(0, FIXED).join(" ")}`);
  }
  return {
    flags: bytes[1],
    bits: bytes[10],
    options: words * WORD - FIXED,
    payload: view.getUint32(2, true),
  };
}

/** The options of a frame. */
export function decodeOptions(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / WORD }, (_, i) => view.getUint32(WORD * i, true));
}

/** CRC-32 (IEEE) of the first six bytes. */
function crc(bytes: Uint8Array): number {
  let sum = ~0;
  for (let i = 0; i < CHECKED; i++) sum = TABLE[(sum ^ bytes[i]) & 0xff] ^ sum >>> 8;
  return ~sum >>> 0;
}

function crcTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? 0xedb88320 ^ sum >>> 1 : sum >>> 1;
    return sum;
  });
}
