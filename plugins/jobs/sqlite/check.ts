/**
 * What `doctor` asks of a file of jobs: whether it could be opened.
 *
 * Invariant: makes and changes nothing, and locks nothing, so that a daemon that has the file, or is
 * about to, notices nothing. Not for the process that has it open: closing a second descriptor would
 * end the locks that SQLite has on the first.
 */

import { accessSync, constants } from "node:fs";
import { dirname } from "@std/path";
import { codeOf, reasonOf } from "../../../lib/os/reason.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { placeOf } from "./claim.ts";
import { notOurs, unusable } from "./refusals.ts";

/** Of the header of every file of SQLite. */
const MAGIC = "SQLite format 3\0";
const HEADER = 100;
const VERSION_AT = 60;
const ID_AT = 68;

/** @throws Failure as opening it would */
export async function check(named: string): Promise<void> {
  const file = placeOf(named);
  mayMakeFiles(file);
  const header = await headerOf(file);
  if (header.length === 0) return;
  const text = new TextDecoder("latin1").decode(header.subarray(0, MAGIC.length));
  if (text !== MAGIC || header.length < HEADER) throw unusable(file, "file is not a database");
  const numbers = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const failure = notOurs(file, numbers.getUint32(ID_AT), numbers.getUint32(VERSION_AT));
  if (failure !== undefined) throw failure;
}

/** The journal and the lock lie beside it. */
function mayMakeFiles(file: string): void {
  const directory = dirname(file);
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Failure(
      `cannot keep jobs in "${file}": cannot write in "${directory}": ${reasonOf(error)}`,
      { fix: "let this user write that directory, or name a file elsewhere (config.file)" },
    );
  }
}

/** The first bytes of a file that can be written; none: there is none yet, or nothing in it. */
async function headerOf(file: string): Promise<Uint8Array> {
  try {
    const opened = await Deno.open(file, { read: true, write: true });
    try {
      const bytes = new Uint8Array(HEADER);
      return bytes.subarray(0, await opened.read(bytes) ?? 0);
    } finally {
      opened.close();
    }
  } catch (error) {
    if (codeOf(error) === "ENOENT") return new Uint8Array(0);
    const reason = reasonOf(error);
    throw new Failure(`cannot keep jobs in "${file}": ${reason}`, {
      fix: "let this user write the file, or name another (config.file)",
    });
  }
}
