/**
 * The files of one log as one sequence of lines, at one moment: readable backwards and forwards while
 * the log grows and turns over.
 *
 * Invariants: what is appended after the moment is not seen; a file is found again after it was renamed
 * (age 0 at that moment has the age of the rotations since then); memory holds one block and at most
 * one line, however large the files are. A line longer than MAX_LINE is no record and is passed over.
 */

import { rotatedPath, type RotatingFile } from "./rotating_file.ts";

/** Bytes that are read at once. */
const BLOCK = 64 * 1024;
/** The longest line that can be a record: 64 KiB of bytes, each escaped to six, and its keys. */
const MAX_LINE = 1024 * 1024;
const NEWLINE = 0x0a;

/** A place between two lines. */
export interface Place {
  /** Rotations before the moment; 0: the newest file. */
  age: number;
  offset: number;
}

/** One line and where it begins. */
export interface PlacedLine extends Place {
  text: string;
}

/** Runs something at a moment when no log is written or turned over. */
export interface Between {
  <T>(look: () => T): Promise<T>;
}

interface Segment {
  file: Deno.FsFile;
  /** Bytes of it that count. */
  size: number;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** See the file's comment. */
export class LogFiles implements Disposable {
  readonly #path: string;
  readonly #files: number;
  readonly #writer: () => RotatingFile | undefined;
  readonly #between: Between;
  readonly #rotations: number;
  readonly #segments = new Map<number, Segment | undefined>();

  /**
   * Takes the moment: to be called between two batches.
   *
   * @param files how many there can be
   * @param writer who appends to the log and turns it over; undefined: nobody yet
   * @param between to look for older files, too
   */
  constructor(
    path: string,
    files: number,
    writer: () => RotatingFile | undefined,
    between: Between,
  ) {
    this.#path = path;
    this.#files = files;
    this.#writer = writer;
    this.#between = between;
    this.#rotations = writer()?.rotations ?? 0;
    this.#segments.set(0, openSegment(path));
  }

  /** Lines from the newest to the oldest. */
  async *backwards(): AsyncGenerator<PlacedLine> {
    for (let age = 0; age < this.#files; age++) {
      const segment = await this.#segment(age);
      if (segment !== undefined) yield* linesBackwards(segment, age);
    }
  }

  /** Lines from a place to the moment's end. */
  async *forwards(from: Place): AsyncGenerator<string> {
    for (let age = from.age; age >= 0; age--) {
      const segment = await this.#segment(age);
      if (segment !== undefined) yield* linesForwards(segment, age === from.age ? from.offset : 0);
    }
  }

  /**
   * A place before which every line was written before `wall` milliseconds, as near as one block.
   * @param at the stamp of a line in milliseconds; undefined: it has none
   */
  async placeOf(wall: number, at: (text: string) => number | undefined): Promise<Place> {
    const found = await this.#fileOf(wall, at);
    if (found === undefined) return { age: 0, offset: 0 };
    const { age, segment } = found;
    let [low, high] = [0, segment.size];
    while (high - low > BLOCK) {
      const middle = low + Math.floor((high - low) / 2);
      const stamp = await firstStamp(segment, await lineStart(segment, middle), at);
      if (stamp === undefined || stamp >= wall) high = middle;
      else low = middle;
    }
    return { age, offset: await lineStart(segment, low) };
  }

  /** The newest file that begins before `wall`; else the oldest. */
  async #fileOf(wall: number, at: (text: string) => number | undefined) {
    let found: { age: number; segment: Segment } | undefined;
    for (let age = 0; age < this.#files; age++) {
      const segment = await this.#segment(age);
      if (segment === undefined) continue; // a gap in the numbers, or there are not so many
      found = { age, segment };
      if ((await firstStamp(segment, 0, at) ?? wall) < wall) break;
    }
    return found;
  }

  [Symbol.dispose](): void {
    for (const segment of this.#segments.values()) segment?.file.close();
    this.#segments.clear();
  }

  /** The file that was `age` rotations old at the moment; undefined: there is none (any more). */
  async #segment(age: number): Promise<Segment | undefined> {
    if (this.#segments.has(age)) return this.#segments.get(age);
    const segment = await this.#between(() => {
      const now = age + (this.#writer()?.rotations ?? 0) - this.#rotations;
      return now < this.#files ? openSegment(rotatedPath(this.#path, now)) : undefined;
    });
    this.#segments.set(age, segment);
    return segment;
  }
}

function openSegment(path: string): Segment | undefined {
  try {
    const file = Deno.openSync(path);
    return { file, size: file.statSync().size };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function* linesBackwards({ file, size }: Segment, age: number): AsyncGenerator<PlacedLine> {
  let rest: Uint8Array = new Uint8Array(); // the end of a line whose beginning is not read yet
  let skipping = false;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - BLOCK);
    const bytes = joined(await readAt(file, start, end - start), rest);
    let stop = bytes.length;
    for (;;) {
      const newline = stop < 2 ? -1 : bytes.lastIndexOf(NEWLINE, stop - 2);
      if (newline < 0) break;
      if (!skipping) yield placed(bytes, newline + 1, stop, start, age);
      skipping = false;
      stop = newline + 1;
    }
    rest = bytes.subarray(0, stop);
    if (rest.length > MAX_LINE) {
      skipping = true;
      rest = rest.subarray(0, 0);
    }
    end = start;
  }
  if (rest.length > 0 && !skipping) yield placed(rest, 0, rest.length, 0, age);
}

function placed(bytes: Uint8Array, from: number, to: number, start: number, age: number) {
  const end = bytes[to - 1] === NEWLINE ? to - 1 : to;
  return { text: decoder.decode(bytes.subarray(from, end)), age, offset: start + from };
}

async function* linesForwards({ file, size }: Segment, from: number): AsyncGenerator<string> {
  let rest: Uint8Array = new Uint8Array();
  let skipping = false;
  for (let start = from; start < size;) {
    const block = await readAt(file, start, Math.min(BLOCK, size - start));
    if (block.length === 0) return; // shortened by somebody
    start += block.length;
    const bytes = joined(rest, block);
    let begin = 0;
    for (;;) {
      const newline = bytes.indexOf(NEWLINE, begin);
      if (newline < 0) break;
      if (!skipping) yield decoder.decode(bytes.subarray(begin, newline));
      skipping = false;
      begin = newline + 1;
    }
    rest = bytes.subarray(begin);
    if (rest.length > MAX_LINE) {
      skipping = true;
      rest = rest.subarray(0, 0);
    }
  }
}

/** The stamp of the first line from `start` on that has one. */
async function firstStamp(
  segment: Segment,
  start: number,
  at: (text: string) => number | undefined,
): Promise<number | undefined> {
  for await (const text of linesForwards(segment, start)) {
    const stamp = at(text);
    if (stamp !== undefined) return stamp;
  }
  return undefined;
}

/** Where the first line at or after `offset` begins. */
async function lineStart({ file, size }: Segment, offset: number): Promise<number> {
  for (let start = offset - 1; offset > 0 && start < size;) {
    const block = await readAt(file, start, Math.min(BLOCK, size - start));
    const newline = block.indexOf(NEWLINE);
    if (newline >= 0) return start + newline + 1;
    if (block.length === 0) return size;
    start += block.length;
  }
  return offset;
}

async function readAt(file: Deno.FsFile, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  file.seekSync(offset, Deno.SeekMode.Start);
  let got = 0;
  while (got < length) {
    const more = await file.read(bytes.subarray(got));
    if (more === null) break;
    got += more;
  }
  return bytes.subarray(0, got);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
