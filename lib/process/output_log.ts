/**
 * The log of one configured id: `web.log` with what all replicas of `web` print.
 *
 * Invariant: nothing here throws. A log that cannot be opened refuses batches with its reason and is
 * tried again with the next one.
 */

import { join } from "@std/path";
import { messageOf } from "../core/failure.ts";
import {
  type Appended,
  type FileMark,
  RotatingFile,
  type RotationLimits,
} from "../telemetry/rotating_file.ts";
import { fileNameOf } from "./spool.ts";

/** Ids whose plain name belongs to a log that is not a program's. */
const TAKEN = new Set(["daemon", "access"]);
const EXTENSION = ".log";

/** The file of an id: `web.log`; `%64aemon.log` for a program that is called like the daemon's log. */
export function logPathOf(directory: string, id: string): string {
  const name = fileNameOf(id);
  const safe = TAKEN.has(name)
    ? `%${name.charCodeAt(0).toString(16).toUpperCase()}${name.slice(1)}`
    : name;
  return join(directory, `${safe}${EXTENSION}`);
}

/** The ids that have a log in a directory, sorted. Other files are passed over. */
export function idsIn(directory: string): string[] {
  return namesIn(directory)
    .filter((name) => name.endsWith(EXTENSION))
    .map((name) => name.slice(0, -EXTENSION.length))
    .filter((stem) => !TAKEN.has(stem))
    .flatMap(decoded)
    .sort();
}

/** See the file's comment. */
export class OutputLog {
  #file: RotatingFile | undefined;
  #newest = 0;

  constructor(readonly path: string, private readonly limits: RotationLimits) {}

  /** The open file, for readers; undefined before the first batch. */
  get file(): RotatingFile | undefined {
    return this.#file;
  }

  /**
   * Opens the file if need be and turns it over if `length` more bytes do not fit.
   * @returns where the batch will be written, and whether that is another file than before; or why
   *   it cannot be
   */
  async prepare(length: number): Promise<{ mark: FileMark; turned: boolean } | { error: string }> {
    try {
      this.#file ??= this.#open();
      const turned = await this.#file.makeRoom(length);
      return { mark: this.#file.mark(), turned };
    } catch (error) {
      return { error: messageOf(error) };
    }
  }

  /** Appends whole records; prepare() comes first. */
  append(records: Uint8Array): Promise<Appended> {
    return this.#file!.append(records);
  }

  /**
   * A stamp for lines that were written at `wall` milliseconds, not older than what the log holds
   * already: late lines of a dead daemon's time must not break the order that readers search by.
   */
  notBefore(wall: number): number {
    return Math.max(wall, this.#newest);
  }

  /** Tells which stamp was written last. */
  stamped(wall: number): void {
    this.#newest = wall;
  }

  /** Opens the file anew. Undefined: done or not open; else why the old one stays in use. */
  reopen(): string | undefined {
    return this.#file?.reopen();
  }

  #open(): RotatingFile {
    this.#newest = lastWritten(this.path);
    return RotatingFile.open(this.path, this.limits);
  }

  close(): void {
    this.#file?.[Symbol.dispose]();
    this.#file = undefined;
  }
}

function namesIn(directory: string): string[] {
  try {
    return Array.from(Deno.readDirSync(directory)).filter((entry) => entry.isFile)
      .map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // no program ever printed
    throw error;
  }
}

function decoded(stem: string): string[] {
  try {
    return [decodeURIComponent(stem)];
  } catch {
    return []; // not a name of ours
  }
}

/** When the log was last written, milliseconds; 0 when there is none. */
function lastWritten(path: string): number {
  try {
    return Deno.statSync(path).mtime?.getTime() ?? 0;
  } catch {
    return 0; // opening it will tell why
  }
}
