/**
 * Bytes into lines.
 *
 * Invariant: pure, and independent of how the bytes arrived: whoever cuts off `used` bytes, appends
 * what came since and asks again gets the same lines whatever the pieces were. Nothing is kept
 * between calls, so the position in the spool is the whole state. The lines and the newlines between
 * them give back every byte, except that invalid UTF-8 is replaced and `\r\n` counts as newline.
 */

const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** Longest UTF-8 sequence less its first byte. */
const MAX_CONTINUATION = 3;

/** What could be taken from the front of some bytes. */
export interface Split {
  lines: string[];
  /** The last of `lines` is a piece of a longer line. */
  cut: boolean;
  /** Bytes that `lines` stand for. */
  used: number;
}

/** How to split. */
export interface SplitOptions {
  /** Bytes of a line without its newline; longer ones are cut into pieces. */
  limit: number;
  /** At most this many lines at once. */
  max_lines: number;
  /** Nothing will follow: what stands after the last newline is a line, too. */
  last: boolean;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Takes whole lines from the front of `bytes`; `used: 0` when more bytes are needed. */
export function splitLines(bytes: Uint8Array, { limit, max_lines, last }: SplitOptions): Split {
  let end = 0;
  let count = 0;
  while (count < max_lines) {
    const newline = bytes.indexOf(NEWLINE, end);
    if (newline < 0 || newline - end > limit) break;
    end = newline + 1;
    count++;
  }
  if (count > 0) {
    const text = decoder.decode(bytes.subarray(0, end - 1));
    const lines = text.split("\n");
    if (text.includes("\r")) return { lines: lines.map(withoutReturn), cut: false, used: end };
    return { lines, cut: false, used: end };
  }
  if (bytes.length > limit) return piece(bytes, cutAt(bytes, limit), true);
  if (last && bytes.length > 0) return piece(bytes, bytes.length, false);
  return { lines: [], cut: false, used: 0 };
}

function piece(bytes: Uint8Array, used: number, cut: boolean): Split {
  return { lines: [decoder.decode(bytes.subarray(0, used))], cut, used };
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

/** Where to cut a line that is too long: not inside a character, not between `\r` and `\n`. */
function cutAt(bytes: Uint8Array, limit: number): number {
  let at = limit;
  for (let back = 0; back < MAX_CONTINUATION && at > 1 && isContinuation(bytes[at]); back++) at--;
  if (isContinuation(bytes[at])) at = limit; // not UTF-8: any place is as good
  return at > 1 && bytes[at - 1] === RETURN ? at - 1 : at;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
