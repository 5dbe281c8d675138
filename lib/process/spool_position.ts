/**
 * How far a spool has been read, written down so that a killed daemon neither loses nor repeats a line.
 *
 * Before a batch goes to the log, its intent is written down: which bytes of the spool (`from`, `to`)
 * become how many bytes at which place of which log file. The next daemon compares it with the log:
 *
 * | the log file of the intent …              | so the batch was  | read on at | and            |
 * | ----------------------------------------- | ----------------- | ---------- | -------------- |
 * | has grown by all of it                    | written           | `to`       |                |
 * | has grown by a part of it                 | torn by the kill  | `from`     | cut the log back |
 * | has not grown                             | not written       | `from`     |                |
 * | is another file, or shorter than before   | written, long ago | `to`       |                |
 *
 * Invariants: exactly once, as long as the machine itself does not lose power (nothing is fsynced: a
 * power cut may lose or repeat the last moments of every log). An intent is at most one write inside
 * one page, so a kill never tears it. Whatever changes which file the log is, or writes less than was
 * intended, replaces the intents that refer to it.
 */

import type { FileMark } from "../telemetry/rotating_file.ts";

/** What is about to be done, or (with `bytes: 0`) how far everything is done. */
export interface Intent {
  /** Offsets in the spool. */
  from: number;
  to: number;
  /** Bytes of the batch in the log. */
  bytes: number;
  /** The log before the batch. */
  inode: number;
  size: number;
}

/** Space of one intent in the run file: five numbers of 16 digits fit with their keys. */
export const INTENT_BYTES = 192;

/** The intent of a spool that is read up to `position`. */
export function settledAt(position: number): Intent {
  return { from: position, to: position, bytes: 0, inode: 0, size: 0 };
}

/** The fixed-size form: JSON, spaces, newline. */
export function encodeIntent(intent: Intent): Uint8Array {
  const text = JSON.stringify(intent).padEnd(INTENT_BYTES - 1);
  return new TextEncoder().encode(`${text}\n`);
}

/** Undefined: nothing usable is written down. */
export function decodeIntent(bytes: Uint8Array): Intent | undefined {
  try {
    const intent: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isIntent(intent) ? intent : undefined;
  } catch {
    return undefined; // damaged by a power cut: the caller looks for the data itself
  }
}

/** Where to read on. */
export interface Resume {
  position: number;
  /** Cut the log back to this size first. */
  cut?: number;
}

/** The table above. @param log the file that is the process's log now; undefined: there is none */
export function resumeAt(intent: Intent, log: FileMark | undefined): Resume {
  const { from, to, bytes, inode, size } = intent;
  const sameFile = log !== undefined && log.inode === inode && log.size >= size;
  if (bytes === 0 || !sameFile || log.size >= size + bytes) return { position: to };
  return log.size > size ? { position: from, cut: size } : { position: from };
}

function isIntent(value: unknown): value is Intent {
  if (typeof value !== "object" || value === null) return false;
  const { from, to, bytes, inode, size } = value as Record<string, unknown>;
  return [from, to, bytes, inode, size].every((number) =>
    Number.isSafeInteger(number) && (number as number) >= 0
  );
}
