/**
 * A file that is appended to, turned over when it is full, and reopened on request: `web.log` is the
 * newest, `web.log.1` the one before, up to `files` in all.
 *
 * | what fails                      | what is so afterwards                                          |
 * | ------------------------------- | -------------------------------------------------------------- |
 * | write (disk full)               | whole lines up to the failure are kept, the rest is refused     |
 * | opening the next file           | the current one goes on, up to twice its size; then refused     |
 * | a rename in the middle          | the same; a gap in the numbers, never a lost or doubled file    |
 * | reopen                          | the old file stays open and is written on                       |
 * | the writer is killed            | at most the last line is torn; the next open() ends it          |
 *
 * Invariants: nothing here throws after open(); one call of append, makeRoom or reopen at a time (the
 * caller's order); the file at `path` is always whole lines followed by at most the batch being
 * written; the next file exists before the first rename, so `path` never stays missing.
 */

import { dirname } from "@std/path";
import { Failure, messageOf } from "../core/failure.ts";

/** When a file is full and how many are kept. */
export interface RotationLimits {
  /** Bytes after which the next file begins. */
  bytes: number;
  /** Files in all, the current one included. */
  files: number;
}

/** 10 × 20 MB. */
export const ROTATION: RotationLimits = { bytes: 20_000_000, files: 10 };

/** A file whose rotation keeps failing is written on up to this many times its size. */
const OVERSIZE = 2;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const NEWLINE = 0x0a;

/** How much of a batch reached the file. */
export interface Appended {
  /** Bytes of whole lines that are in the file. */
  bytes: number;
  /** Why it is not all of them. */
  error?: string;
}

/** The state of the current file, as the system sees it. */
export interface FileMark {
  inode: number;
  size: number;
}

/** See the file's comment. */
export class RotatingFile implements Disposable {
  #file: Deno.FsFile;
  #rotations = 0;
  #rotationError: string | undefined;

  private constructor(
    readonly path: string,
    readonly limits: RotationLimits,
    file: Deno.FsFile,
  ) {
    this.#file = file;
  }

  /**
   * Opens or creates the file (mode 0600) and, where it is missing, its directory (0700).
   * @throws Failure naming the file and the reason.
   */
  static open(path: string, limits: RotationLimits = ROTATION): RotatingFile {
    try {
      return new RotatingFile(path, limits, openForAppend(path));
    } catch (error) {
      throw new Failure(`cannot open log file "${path}": ${messageOf(error)}`, {
        fix: "check that its directory exists, is writable and has space",
        cause: error,
      });
    }
  }

  /** How often the file was turned over since it was opened; reading positions count with it. */
  get rotations(): number {
    return this.#rotations;
  }

  /** Path of the file that is `age` rotations old; 0 is the current one. */
  pathOf(age: number): string {
    return rotatedPath(this.path, age);
  }

  /** Inode and size now. */
  mark(): FileMark {
    const { ino, size } = this.#file.statSync();
    return { inode: ino ?? 0, size };
  }

  /** Turns the file over unless `length` more bytes fit. True: what follows goes to a new file. */
  async makeRoom(length: number): Promise<boolean> {
    const { size } = this.mark();
    if (size === 0 || size + length <= this.limits.bytes) return false;
    await this.#rotate();
    return this.#rotationError === undefined;
  }

  /** Appends whole lines. Never throws. */
  async append(lines: Uint8Array): Promise<Appended> {
    const { size } = this.mark();
    if (size + lines.length > OVERSIZE * this.limits.bytes && this.#rotationError !== undefined) {
      return { bytes: 0, error: this.#rotationError };
    }
    let written = 0;
    try {
      while (written < lines.length) written += await this.#file.write(lines.subarray(written));
      return { bytes: written };
    } catch (error) {
      return { bytes: this.#keepWholeLines(size, lines, written), error: messageOf(error) };
    }
  }

  /** As append, at once and without turning over: for the last words of a dying process. */
  appendSync(lines: Uint8Array): void {
    let written = 0;
    while (written < lines.length) written += this.#file.writeSync(lines.subarray(written));
  }

  /** Opens `path` anew (someone moved the file away). Undefined: done; else why the old one stays. */
  reopen(): string | undefined {
    try {
      const next = openForAppend(this.path);
      this.#file.close();
      this.#file = next;
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  async #rotate(): Promise<void> {
    const fresh = `${this.path}.new`;
    try {
      const next = await Deno.open(fresh, {
        write: true,
        create: true,
        truncate: true,
        mode: FILE_MODE,
      });
      next.close();
      for (let age = this.limits.files - 1; age > 0; age--) await this.#shift(age - 1, age);
      await Deno.rename(fresh, this.path);
      const file = openForAppend(this.path);
      this.#file.close();
      this.#file = file;
      this.#rotations++;
      this.#rotationError = undefined;
    } catch (error) {
      this.#rotationError = `cannot turn over "${this.path}": ${messageOf(error)}`;
    }
  }

  /** Renames one file to be one older; the oldest is replaced. A gap in the numbers is no error. */
  async #shift(from: number, to: number): Promise<void> {
    try {
      await Deno.rename(this.pathOf(from), this.pathOf(to));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** After a failed write: takes a half-written line back, so that the next one starts a line. */
  #keepWholeLines(size: number, lines: Uint8Array, written: number): number {
    const whole = written === 0 ? 0 : lines.lastIndexOf(NEWLINE, written - 1) + 1;
    try {
      if (whole < written) this.#file.truncateSync(size + whole);
    } catch {
      // The torn line stays; readers skip it, and the write error is reported anyway.
    }
    return whole;
  }
}

/** Path of the file that is `age` rotations older than the one at `path`. */
export function rotatedPath(path: string, age: number): string {
  return age === 0 ? path : `${path}.${age}`;
}

function openForAppend(path: string): Deno.FsFile {
  const options = { read: true, append: true, create: true, mode: FILE_MODE };
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    Deno.mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
    file = Deno.openSync(path, options);
  }
  try {
    endTornLine(file);
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}

/** A writer that was killed may have left half a line; what follows must not be glued to it. */
function endTornLine(file: Deno.FsFile): void {
  const { size, isFile } = file.statSync();
  if (!isFile || size === 0) return;
  const last = new Uint8Array(1);
  file.seekSync(size - 1, Deno.SeekMode.Start);
  if (file.readSync(last) === 1 && last[0] !== NEWLINE) file.writeSync(new Uint8Array([NEWLINE]));
}
