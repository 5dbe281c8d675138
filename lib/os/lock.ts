/**
 * The PID file: one daemon per path, proven by a lock of the kernel and not by what is written in it.
 *
 * Invariants: whoever holds the lock on the file that the path names *is* the one daemon; the kernel
 * takes the lock back with the process, so a stale file never blocks; the path is unlinked only while
 * the lock is held and the path still names the locked file.
 *
 * | step of acquire                 | when it fails                                              |
 * | ------------------------------- | ---------------------------------------------------------- |
 * | open or create                  | Failure (no permission, read-only, no directory)           |
 * | flock, not waiting              | held by another: its identity is handed back               |
 * | inode of descriptor = of path   | the holder before us unlinked it: begin again              |
 * | truncate, write, sync           | Failure, the lock is given back, the file is removed       |
 *
 * Killed at any step: the lock is free, the file may stay, the next start takes it over.
 */

import { Failure } from "../core/failure.ts";
import { codeOf, reasonOf } from "./reason.ts";
import type { PidIdentity } from "./system.ts";

/** Tries when the file is replaced under our hands; every one means that a daemon just ended. */
const REPLACED_TRIES = 100;

/** What a PID file says about its writer; `start` and `boot_id` may be missing in a foreign one. */
export interface Holder {
  pid: number;
  start?: string;
  boot_id?: string;
}

/** Somebody else is the daemon. `holder` is undefined while it has not written itself yet. */
export interface Held {
  held: true;
  holder: Holder | undefined;
}

/** A locked PID file; the lock lives as long as this object is referenced and not released. */
export class PidFile {
  readonly held = false;

  private constructor(readonly path: string, private file: Deno.FsFile | undefined) {}

  /**
   * Locks `path` and writes `self` into it, or says who holds it. Never waits.
   *
   * @throws Failure when the file cannot be opened or written
   */
  static acquire(path: string, self: PidIdentity): PidFile | Held {
    for (let tries = 0; tries < REPLACED_TRIES; tries++) {
      const file = open(path);
      let keep = false;
      try {
        if (!file.tryLockSync(true)) return { held: true, holder: PidFile.read(path) };
        if (!sameInode(file, path)) continue;
        const locked = new PidFile(path, file);
        keep = true;
        locked.#write(self);
        return locked;
      } finally {
        if (!keep) file.close();
      }
    }
    throw new Failure(`cannot lock "${path}": it is replaced again and again`, {
      fix: "Find out which program removes this file, or choose another with --pid-file.",
    });
  }

  /** What a PID file says, locked or not; undefined when there is none or nothing readable in it. */
  static read(path: string): Holder | undefined {
    let text: string;
    try {
      text = Deno.readTextFileSync(path);
    } catch {
      return undefined; // whoever asks wants to know about a daemon, and there is no word of one
    }
    const [pid, start, boot_id] = text.trim().split(/\s+/);
    if (!/^[1-9]\d*$/.test(pid ?? "")) return undefined;
    return { pid: Number(pid), ...(start && { start }), ...(boot_id && { boot_id }) };
  }

  /** True while the path still names the file we hold. */
  get intact(): boolean {
    return this.file !== undefined && sameInode(this.file, this.path);
  }

  /** Removes the file and gives the lock back; a second call does nothing. */
  release(): void {
    const file = this.file;
    if (file === undefined) return;
    this.file = undefined;
    try {
      if (sameInode(file, this.path)) Deno.removeSync(this.path);
    } catch {
      // A file left behind is unlocked in a moment and blocks nobody.
    } finally {
      file.close();
    }
  }

  #write(self: PidIdentity): void {
    const file = this.file!;
    try {
      const bytes = new TextEncoder().encode(`${self.pid} ${self.start} ${self.boot_id}\n`);
      file.truncateSync(0);
      for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
      file.syncSync();
    } catch (error) {
      this.release();
      throw new Failure(`cannot write the PID file "${this.path}": ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }
}

function open(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    const code = codeOf(error);
    throw new Failure(`cannot open the PID file "${path}": ${reasonOf(error)}`, {
      fix: code === "EACCES" || code === "EPERM" || code === "EROFS"
        ? "choose a PID file in a directory this user may write, with --pid-file"
        : undefined,
      cause: error,
    });
  }
}

function sameInode(file: Deno.FsFile, path: string): boolean {
  try {
    const mine = file.statSync();
    const there = Deno.statSync(path);
    return mine.ino === there.ino && mine.dev === there.dev;
  } catch {
    return false; // the path names nothing any more
  }
}
