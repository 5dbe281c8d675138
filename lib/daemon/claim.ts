/**
 * Makes a daemon the only one: its directories, its pid file, its state.
 *
 * Two locks, because two daemons may meet in two ways: at the same socket (pid file beside it) or in
 * the same state directory under different sockets.
 *
 * Invariant: after claim() returned, no other daemon of ours uses this socket or this state.
 */

import { dirname, join } from "@std/path";
import type { ControlConfig } from "../config/config.ts";
import { Exit, Failure } from "../core/failure.ts";
import { makePrivateDir } from "../os/dirs.ts";
import { chmod, chown } from "../os/files.ts";
import { type Holder, PidFile } from "../os/lock.ts";
import type { Machine } from "../os/system.ts";
import type { Paths } from "./paths.ts";

/** Lets a deploy group pass through to the socket, and nothing else. */
const SHARED_RUNTIME_MODE = 0o710;

/** Owner and group of the control socket as ids. */
export interface SocketOwner {
  uid?: number;
  gid?: number;
}

/** What is held while the daemon lives. */
export interface Claim {
  owner: SocketOwner;
  release(): void;
}

/**
 * @param pidFile another place for the pid file
 * @throws Failure: exit 5 when a daemon lives; otherwise what cannot be made, and why
 */
export function claim(
  paths: Paths,
  control: ControlConfig,
  machine: Machine,
  pidFile = paths.pid_file,
): Claim {
  const owner: SocketOwner = {
    uid: control.owner === undefined ? undefined : machine.user(control.owner).uid,
    gid: control.group === undefined ? undefined : machine.groupId(control.group),
  };
  // The state comes first: others may lie in it, and what is made on the way is open to readers.
  for (const dir of [paths.state_dir, paths.log_dir, paths.spool_dir]) makePrivateDir(dir);
  const foreign = control.socket !== undefined && exists(paths.runtime_dir);
  if (!foreign) makePrivateDir(paths.runtime_dir, { owner: owner.uid });
  const release = lockAll([pidFile, stateLockOf(paths)], paths, machine);
  try {
    // Only now: before it may be the directory of a daemon that lives.
    if (!foreign) shareRuntimeDir(paths.runtime_dir, owner);
  } catch (error) {
    release();
    throw error;
  }
  return { owner, release };
}

/**
 * Keeps daemons away from these places while their state is worked on: takes the locks of a daemon
 * without being one. What is not there is not made, for nothing can be lost in it.
 *
 * @returns gives the places free again
 * @throws Failure: exit 5 when a daemon lives, whether it answers or not
 */
export function standIn(paths: Paths, machine: Machine): () => void {
  const places = [paths.pid_file, stateLockOf(paths)].filter((path) => exists(dirname(path)));
  return lockAll(places, paths, machine);
}

function stateLockOf({ state_dir }: Paths): string {
  return join(state_dir, "lock");
}

/** All or none. @throws Failure */
function lockAll(files: readonly string[], paths: Paths, machine: Machine): () => void {
  const held: PidFile[] = [];
  const release = () => held.reverse().forEach((lock) => lock.release());
  try {
    for (const path of files) {
      const lock = PidFile.acquire(path, machine.self);
      if (lock.held) throw alreadyRunning(lock.holder, path === stateLockOf(paths), paths);
      held.push(lock);
    }
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

/** Lets those through to the socket who shall reach it. @throws Failure when we may not chown */
function shareRuntimeDir(dir: string, { uid, gid }: SocketOwner): void {
  if (uid === undefined && gid === undefined) return;
  chmod(dir, SHARED_RUNTIME_MODE);
  chown(dir, uid, gid);
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false; // whatever is wrong with it, makePrivateDir says it in a sentence
  }
}

function alreadyRunning(holder: Holder | undefined, byState: boolean, paths: Paths): Failure {
  const { socket, state_dir } = paths;
  const who = holder === undefined ? "" : ` (pid ${holder.pid})`;
  const where = byState
    ? `already uses the state directory ${state_dir}`
    : `is already running at ${socket}`;
  return new Failure(`a daemon${who} ${where}`, {
    exit: Exit.running,
    fix: "use `supervisor status` to look at it, `supervisor shutdown` to end it",
    detail: { pid: holder?.pid, ...(byState ? { state_dir } : { socket }) },
  });
}
