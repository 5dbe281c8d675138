/**
 * Cuts a source map down to our own files.
 *
 * The bundler's map describes every package and carries every source text: six times the size of
 * the program, 40 ms of start-up and 11 MB of memory. With only our files, and without texts, an
 * internal error still names file and line (not the column), and costs next to nothing.
 *
 * Format: source map revision 3; `mappings` are lines separated by `;`, segments by `,`, each one,
 * four or five base64 VLQ numbers relative to the segment before.
 */

/** The fields of a version 3 source map that we read and write. */
export interface SourceMap {
  version: 3;
  sources: string[];
  names: string[];
  mappings: string;
  sourcesContent?: (string | null)[];
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE = new Map([...DIGITS].map((digit, value) => [digit, value]));

/**
 * A map with only the sources for which `rename` gives a name.
 *
 * @param shift lines put in front of the program since the map was made
 */
export function restrict(
  map: SourceMap,
  rename: (source: string) => string | undefined,
  shift = 0,
): SourceMap {
  const sources: string[] = [];
  const place = map.sources.map((source) => {
    const name = rename(source);
    return name === undefined ? undefined : sources.push(name) - 1;
  });
  // What was read so far: source, line, column (relative in the input across lines).
  const read = [0, 0, 0];
  const written = [0, 0, 0];
  const lines = map.mappings.split(";").map((line) => {
    let column = 0;
    let writtenColumn = 0;
    let mapped = false;
    const segments: string[] = [];
    for (const segment of line === "" ? [] : line.split(",")) {
      const numbers = decode(segment);
      column += numbers[0];
      if (numbers.length >= 4) { for (let i = 0; i < 3; i++) read[i] += numbers[i + 1]; }
      const source = numbers.length >= 4 ? place[read[0]] : undefined;
      if (source === undefined) {
        // One unmapped segment ends the stretch of ours before it; more would say nothing.
        if (!mapped) continue;
        mapped = false;
        segments.push(encode([column - writtenColumn]));
      } else {
        // Nor would more than the beginning of each line of ours: a stack trace names the line.
        if (mapped && source === written[0] && read[1] === written[1]) continue;
        mapped = true;
        const now = [source, read[1], read[2]];
        segments.push(encode([column - writtenColumn, ...now.map((n, i) => n - written[i])]));
        written.splice(0, 3, ...now);
      }
      writtenColumn = column;
    }
    return segments.join(",");
  });
  return { version: 3, sources, names: [], mappings: ";".repeat(shift) + lines.join(";") };
}

/** The numbers of one segment. @throws Error on a character that is no base64 digit */
export function decode(segment: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const character of segment) {
    const digit = VALUE.get(character);
    if (digit === undefined) throw new Error(`source map: "${character}" is no base64 digit`);
    value += (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    value = 0;
    shift = 0;
  }
  return numbers;
}

/** One segment of these numbers. */
export function encode(numbers: number[]): string {
  let text = "";
  for (const number of numbers) {
    let rest = number < 0 ? (-number << 1) | 1 : number << 1;
    do {
      const digit = rest & 31;
      rest >>>= 5;
      text += DIGITS[rest > 0 ? digit | 32 : digit];
    } while (rest > 0);
  }
  return text;
}
