/**
 * The one daemon that may use a file of jobs.
 *
 * | what stands there          | then                                                         |
 * | -------------------------- | ------------------------------------------------------------ |
 * | a file nobody has          | locked by `<file>.lock`, ours until released or until we end |
 * | a file another daemon has  | Failure naming its pid                                       |
 * | nothing                    | locked, then made empty, with the permissions asked for      |
 *
 * Invariant: the lock is the kernel's: it ends with the process that has it, however that ends, and
 * programs that only look into the file are not kept out.
 */

import { basename, dirname, join } from "@std/path";
import { Failure } from "../../../lib/core/failure.ts";
import { PidFile } from "../../../lib/os/lock.ts";
import { codeOf, reasonOf } from "../../../lib/os/reason.ts";
import type { System } from "../../../lib/os/system.ts";
import { unusable } from "./refusals.ts";

/** What it needs of the system. */
export type Identifies = Pick<System, "identify">;

/** The path of a file without links on the way, so that one file has one name. @throws Failure */
export function placeOf(file: string): string {
  const at = realPath(file);
  if (at !== undefined) return at;
  const directory = dirname(file);
  const there = realPath(directory);
  if (there !== undefined) return join(there, basename(file));
  throw new Failure(`cannot keep jobs in "${file}": there is no directory "${directory}"`, {
    fix: `create it: mkdir -p ${directory}`,
  });
}

function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new Failure(`cannot keep jobs in "${path}": ${reasonOf(error)}`, {
      fix: "see whether this user may pass the directories on the way",
      cause: error,
    });
  }
}

/** Where the lock of a file is. */
export const lockOf = (file: string): string => `${file}.lock`;

/** See the file's comment. */
export class Claim implements Disposable {
  private constructor(readonly file: string, readonly lock: PidFile) {}

  /** @param file of placeOf() @throws Failure */
  static make(file: string, permissions: number, system: Identifies): Claim {
    const claim = new Claim(file, lock(file, system));
    try {
      create(file, permissions);
      return claim;
    } catch (error) {
      claim[Symbol.dispose]();
      throw unusable(file, reasonOf(error));
    }
  }

  [Symbol.dispose](): void {
    this.lock.release();
  }
}

function lock(file: string, system: Identifies): PidFile {
  const self = system.identify(Deno.pid)!;
  let held;
  try {
    held = PidFile.acquire(lockOf(file), self);
  } catch (error) {
    const { cause, message } = error as Failure;
    const reason = cause === undefined ? message : reasonOf(cause);
    throw new Failure(`cannot keep jobs in "${file}": cannot lock "${lockOf(file)}": ${reason}`, {
      fix: "let this user write that directory, or name a file elsewhere (config.file)",
      cause: error,
    });
  }
  if (!held.held) return held;
  const { pid } = held.holder ?? {};
  const who = pid === undefined ? "another process" : `the process ${pid}`;
  throw new Failure(`cannot keep jobs in "${file}": ${who} has it in use`, {
    fix: "stop that daemon, or name a file of this one's own (config.file)",
  });
}

/** Makes an empty file, if there is none; its name survives a power cut then. */
function create(file: string, permissions: number): void {
  let made: Deno.FsFile;
  try {
    made = Deno.openSync(file, { write: true, createNew: true, mode: permissions });
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    throw error;
  }
  made.close();
  // What was asked for counts, not the mask of this process.
  Deno.chmodSync(file, permissions);
  const directory = Deno.openSync(dirname(file));
  try {
    directory.syncSync();
  } finally {
    directory.close();
  }
}
