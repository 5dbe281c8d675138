/**
 * Which files are ours, and what is said of those that cannot be used.
 *
 * Invariant: every refusal names the file, what is so, and what to do.
 */

import { Failure } from "../../../lib/core/failure.ts";

/** "sup1", in the header of the file. */
export const APPLICATION_ID = 0x73757031;
/** Of the tables. */
export const VERSION = 1;

/** Why a file with these numbers in its header cannot be used; undefined: it is ours. */
export function notOurs(file: string, id: number, version: number): Failure | undefined {
  if (id !== APPLICATION_ID) {
    return new Failure(`cannot keep jobs in "${file}": it is a database of another program`, {
      fix: "name another file (config.file)",
    });
  }
  if (version <= VERSION) return undefined;
  return new Failure(
    `cannot keep jobs in "${file}": a newer version of supervisor wrote it (layout ${version}, ` +
      `this version knows ${VERSION})`,
    { fix: "start that version again, or name another file (config.file)" },
  );
}

/** Why a file cannot be opened, and what to do. @param reason as SQLite says it */
export function unusable(file: string, reason: string): Failure {
  return new Failure(`cannot keep jobs in "${file}": ${reason}`, { fix: fixOf(reason) });
}

/** What to do about an error of SQLite. */
export function fixOf(reason: string): string {
  if (/not a database|malformed|damaged/.test(reason)) {
    return "move the file away and put a copy back, or name another (config.file)";
  }
  if (/full/.test(reason)) return "make room on its file system";
  if (/readonly/.test(reason)) return "let this user write the file and its directory";
  if (/locked/.test(reason)) return "end the program that has it open";
  if (/unable to open/.test(reason)) {
    return "see whether it is a file that this user may read and write";
  }
  return "look at the disk it lies on";
}
