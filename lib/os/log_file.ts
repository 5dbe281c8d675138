/**
 * The log of a daemon to be: made before it starts, read when it does not.
 *
 * Invariant: what we create only we may read; what exists keeps its mode.
 */

import { dirname } from "@std/path";
import { Failure } from "../core/failure.ts";
import { makePrivateDir } from "./dirs.ts";
import { reasonOf } from "./reason.ts";

/** How much of the end of a log is looked at, bytes. */
const TAIL = 64 * 1024;

/**
 * Makes sure that a log can be written: its directory (0700) and the file (0600) are created when
 * missing.
 *
 * @param own the directory is one of ours and must be private
 * @returns bytes in it already
 * @throws Failure when it cannot be written
 */
export function prepareLog(path: string, own: boolean): number {
  if (own) makePrivateDir(dirname(path));
  try {
    Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    Deno.openSync(path, { append: true, create: true, mode: 0o600 }).close();
    return Deno.statSync(path).size;
  } catch (error) {
    throw new Failure(`cannot write the log "${path}": ${reasonOf(error)}`, {
      fix: "name a writable place with --log-file",
      cause: error,
    });
  }
}

/** The last lines that were written to a log after its first `from` bytes. */
export function logTail(path: string, from: number, lines: number): string[] {
  try {
    using file = Deno.openSync(path);
    const { size } = file.statSync();
    const start = Math.max(from, size - TAIL);
    const bytes = new Uint8Array(Math.max(0, size - start));
    file.seekSync(start, Deno.SeekMode.Start);
    const read = file.readSync(bytes) ?? 0;
    const text = new TextDecoder().decode(bytes.subarray(0, read));
    return text.split("\n").filter((line) => line !== "").slice(-lines);
  } catch {
    return []; // the log only adds to a failure that is told anyway
  }
}
