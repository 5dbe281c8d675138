/**
 * What a daemon that died left running: found by pid, start time and boot id, and stopped when asked.
 *
 * | what is so                          | what the caller gets                                |
 * | ----------------------------------- | --------------------------------------------------- |
 * | a daemon lives, answering or not    | Failure, exit 5: its programs are its own           |
 * | the process book cannot be read     | Failure: nothing is signalled on a guess            |
 * | a process vanishes meanwhile        | it counts as stopped                                |
 * | something does not go               | Failure naming it; it stays in the book             |
 *
 * Invariant: works only while it holds the locks of a daemon, so that none starts beside it; signals
 * only what was verified.
 */

import { join } from "@std/path";
import { Failure } from "../core/failure.ts";
import type { Machine, ProcRow } from "../os/system.ts";
import { leftOf, Orphans } from "../release/orphans.ts";
import { PidBook, type PidEntry } from "../release/pid_book.ts";
import type { Emit } from "../telemetry/events.ts";
import { standIn } from "./claim.ts";
import type { Paths } from "./paths.ts";

/** One program that was left, with its whole group. */
export interface Left {
  process: string;
  release_id: string | null;
  pid: number;
  members: { pid: number; command: string }[];
}

/** @throws Failure, see above */
export function findLeft(paths: Paths, machine: Machine): Left[] {
  const release = standIn(paths, machine);
  try {
    return leftOf(bookOf(paths), machine).map((entry) => described(entry, machine));
  } finally {
    release();
  }
}

/**
 * Stops what was left; call it while the locks are held (see {@linkcode standIn}).
 *
 * @param grace milliseconds between SIGTERM and SIGKILL
 * @returns what was stopped
 * @throws Failure naming what did not go
 */
export async function stopLeft(paths: Paths, machine: Machine, grace: number): Promise<Left[]> {
  const entries = leftOf(bookOf(paths), machine);
  if (entries.length === 0) return [];
  const found = entries.map((entry) => described(entry, machine));
  const wrong: string[] = [];
  // Events have no journal to go to here: what matters of them is in the answer.
  const emit = ((event: string, data: { error?: string }) => {
    if (event === "state_write_failed") wrong.push(data.error ?? event);
  }) as Emit;
  const book = new PidBook(fileOf(paths), emit);
  const orphans = new Orphans(entries, machine, book, emit, grace);
  await orphans.clear();
  const staying = new Set(orphans.list().map(({ pid }) => pid));
  if (staying.size > 0) {
    const left = found.filter(({ pid }) => staying.has(pid));
    const names = left.map(({ process, pid }) => `${process} (pid ${pid})`).join(", ");
    throw new Failure(`could not stop ${names}, which an earlier daemon left`, {
      fix: "look whose they are and what they wait for; in state D it is a disk or a network mount",
      detail: { found, left },
    });
  }
  if (wrong.length > 0) {
    throw new Failure(`everything is stopped, but the process book is not up to date: ${wrong[0]}`);
  }
  return found;
}

/** As {@linkcode stopLeft}, with the locks. @throws Failure */
export async function recover(paths: Paths, machine: Machine, grace: number): Promise<Left[]> {
  const release = standIn(paths, machine);
  try {
    return await stopLeft(paths, machine, grace);
  } finally {
    release();
  }
}

/** What the dead daemon wrote. @throws Failure when it cannot be read or is not usable */
export function bookOf(paths: Paths): PidEntry[] {
  const file = fileOf(paths);
  const emit = ((event: string) => {
    if (event !== "state_unusable") return;
    throw new Failure(`the process book "${file}" is broken: what was left is not known`, {
      fix: "look for programs of the application by hand (ps), end them, then remove the file",
      detail: { file },
    });
  }) as Emit;
  return PidBook.read(file, emit);
}

function fileOf({ state_dir }: Paths): string {
  return join(state_dir, "processes.json");
}

function described(entry: PidEntry, machine: Machine): Left {
  const members = machine.group(entry.pid).members.map(({ pid, command }: ProcRow) => ({
    pid,
    command,
  }));
  return { process: entry.instance, release_id: entry.release, pid: entry.pid, members };
}
