/**
 * Puts spool and log of a killed daemon in agreement, before anything is written to either.
 *
 * Invariant: afterwards the log holds whole batches only and every intent of the spool is settled, so
 * that what is written to the log from now on cannot be taken for a part of the old batch.
 */

import type { FileMark } from "../telemetry/rotating_file.ts";
import type { Spool, Stream } from "./spool.ts";
import { resumeAt, settledAt } from "./spool_position.ts";

/** Settles both streams of a spool that was left. @throws what the system throws. */
export function resumeSpool(spool: Spool, logPath: string): void {
  for (const stream of ["stdout", "stderr"] satisfies Stream[]) {
    const intent = spool.intent(stream);
    if (intent === undefined) continue; // damaged: the reader looks for the data itself
    const { position, cut } = resumeAt(intent, markOf(logPath));
    if (cut !== undefined) Deno.truncateSync(logPath, cut);
    spool.noteSync(stream, settledAt(position));
  }
}

function markOf(path: string): FileMark | undefined {
  try {
    const { ino, size } = Deno.statSync(path);
    return { inode: ino ?? 0, size };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
