/**
 * The files of one run: `KEY.out` and `KEY.err`, which the program appends to, and `runs/KEY.json`,
 * which says whose they are and how far they have been read.
 *
 * Invariants: all are mode 0600; the run file is made first and removed last, so that spools of a
 * daemon that died always have an owner. The run file lies in another directory than the spools: writing
 * positions must not look like output to whoever watches.
 */

import { join } from "@std/path";
import { Failure, messageOf } from "../core/failure.ts";
import {
  decodeIntent,
  encodeIntent,
  type Intent,
  INTENT_BYTES,
  settledAt,
} from "./spool_position.ts";

/** Whose output it is. */
export interface SpoolOwner {
  /** `web`, or `web#0` with replicas. */
  instance: string;
  /** Configured id. */
  id: string;
  release: string | null;
}

/** The two streams of a program. */
export type Stream = "stdout" | "stderr";

const STREAMS: readonly Stream[] = ["stdout", "stderr"];
const EXTENSION: Record<Stream, string> = { stdout: "out", stderr: "err" };
const RUNS = "runs";
const RUN_EXTENSION = ".json";
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** Tries to find a key that no leftover spool has. */
const MAX_TRIES = 1000;
/** Longest owner that is believed. Bytes. */
const MAX_OWNER = 16 * 1024;

/** See the file's comment. */
export class Spool {
  readonly #runPath: string;
  readonly #run: Deno.FsFile;

  private constructor(
    readonly key: string,
    readonly owner: SpoolOwner,
    readonly files: Record<Stream, string>,
    runPath: string,
    run: Deno.FsFile,
  ) {
    this.#runPath = runPath;
    this.#run = run;
  }

  /**
   * Makes the files of a new run.
   * @param wall milliseconds since 1970; makes the key unique among boots
   * @throws Failure naming the directory and the reason; nothing is left then
   */
  static create(directory: string, owner: SpoolOwner, wall: number): Spool {
    try {
      const { key, runPath, run } = newRunFile(directory, owner, wall);
      const files = filesOf(directory, key);
      try {
        writeAll(run, encodeIntent(settledAt(0)));
        writeAll(run, encodeIntent(settledAt(0)));
        writeAll(run, new TextEncoder().encode(`${JSON.stringify(owner)}\n`));
        for (const stream of STREAMS) {
          Deno.openSync(files[stream], { write: true, createNew: true, mode: FILE_MODE }).close();
        }
        return new Spool(key, owner, files, runPath, run);
      } catch (error) {
        run.close();
        for (const path of [files.stdout, files.stderr, runPath]) removeSync(path);
        throw error;
      }
    } catch (error) {
      throw new Failure(
        `cannot make output files for "${owner.instance}" in "${directory}": ${messageOf(error)}`,
        { fix: "check that the directory is writable and has space", cause: error },
      );
    }
  }

  /**
   * The spools in a directory that earlier daemons left, by key.
   * @throws what the system throws when the directory is there and cannot be read
   */
  static find(directory: string): Spool[] {
    const keys = namesIn(join(directory, RUNS))
      .filter((name) => name.endsWith(RUN_EXTENSION))
      .map((name) => name.slice(0, -RUN_EXTENSION.length))
      .sort();
    return keys.map((key) => {
      const runPath = runPathOf(directory, key);
      const run = Deno.openSync(runPath, { read: true, write: true });
      return new Spool(key, readOwner(run) ?? ownerOf(key), filesOf(directory, key), runPath, run);
    });
  }

  /** What was written down last; undefined when it is damaged. */
  intent(stream: Stream): Intent | undefined {
    this.#run.seekSync(offsetOf(stream), Deno.SeekMode.Start);
    const bytes = new Uint8Array(INTENT_BYTES);
    const got = this.#run.readSync(bytes) ?? 0;
    return decodeIntent(bytes.subarray(0, got));
  }

  /** Writes an intent down. One call at a time. @throws what the system throws. */
  async note(stream: Stream, intent: Intent): Promise<void> {
    const bytes = encodeIntent(intent);
    this.#run.seekSync(offsetOf(stream), Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += await this.#run.write(bytes.subarray(done));
  }

  /** As note, at once; before anything runs that must not wait. */
  noteSync(stream: Stream, intent: Intent): void {
    this.#run.seekSync(offsetOf(stream), Deno.SeekMode.Start);
    writeAll(this.#run, encodeIntent(intent));
  }

  /** Removes the files, the run file last. @throws what the system throws. */
  async remove(): Promise<void> {
    this.close();
    for (const path of [this.files.stdout, this.files.stderr, this.#runPath]) {
      try {
        await Deno.remove(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }

  /** Leaves the files for the next daemon. */
  close(): void {
    this.#run.close();
  }
}

/** A name that is safe as a file name and gives `id` back: no slash, no leading dot. */
export function fileNameOf(id: string): string {
  return encodeURIComponent(id).replace(/^\./, "%2E");
}

function newRunFile(directory: string, owner: SpoolOwner, wall: number) {
  Deno.mkdirSync(join(directory, RUNS), { recursive: true, mode: DIRECTORY_MODE });
  const name = `${fileNameOf(owner.instance)}.${wall.toString(36)}`;
  for (let count = 0;; count++) {
    const key = `${name}-${count}`;
    const runPath = runPathOf(directory, key);
    try {
      const run = Deno.openSync(runPath, {
        read: true,
        write: true,
        createNew: true,
        mode: FILE_MODE,
      });
      return { key, runPath, run };
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists) || count >= MAX_TRIES) throw error;
    }
  }
}

function runPathOf(directory: string, key: string): string {
  return join(directory, RUNS, `${key}${RUN_EXTENSION}`);
}

function filesOf(directory: string, key: string): Record<Stream, string> {
  const path = (stream: Stream) => join(directory, `${key}.${EXTENSION[stream]}`);
  return { stdout: path("stdout"), stderr: path("stderr") };
}

function offsetOf(stream: Stream): number {
  return STREAMS.indexOf(stream) * INTENT_BYTES;
}

function readOwner(run: Deno.FsFile): SpoolOwner | undefined {
  run.seekSync(STREAMS.length * INTENT_BYTES, Deno.SeekMode.Start);
  const bytes = new Uint8Array(MAX_OWNER);
  const got = run.readSync(bytes) ?? 0;
  try {
    const { instance, id, release } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, got)));
    if (typeof instance !== "string" || typeof id !== "string") return undefined;
    return { instance, id, release: typeof release === "string" ? release : null };
  } catch {
    return undefined; // cut short by a power cut: the key tells the instance
  }
}

/** What the key alone says: the instance, and its id by the form of instance ids. */
function ownerOf(key: string): SpoolOwner {
  const instance = nameOf(key.replace(/\.[^.]*$/, ""));
  return { instance, id: idOf(instance), release: null };
}

function nameOf(fileName: string): string {
  try {
    return decodeURIComponent(fileName);
  } catch {
    return fileName; // not made by fileNameOf
  }
}

/** The configured id of an instance id: `web` of `web#0`. */
export function idOf(instance: string): string {
  return instance.replace(/#\d+$/, "");
}

function namesIn(directory: string): string[] {
  try {
    return Array.from(Deno.readDirSync(directory), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}

function removeSync(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It was not made, or cannot be removed: the failure that led here is the one to report.
  }
}
