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
  makeRuntimeDir(paths, control, owner);
  for (const dir of [paths.state_dir, paths.log_dir, paths.spool_dir]) makePrivateDir(dir);
  const held: PidFile[] = [];
  try {
    for (const path of [pidFile, join(paths.state_dir, "lock")]) {
      const lock = PidFile.acquire(path, machine.self);
      if (lock.held) throw alreadyRunning(lock.holder, path, paths);
      held.push(lock);
    }
  } catch (error) {
    for (const lock of held) lock.release();
    throw error;
  }
  return {
    owner,
    release: () => held.reverse().forEach((lock) => lock.release()),
  };
}

/** The socket's directory: ours and private, or (when it exists already under a set path) as it is. */
function makeRuntimeDir(paths: Paths, control: ControlConfig, owner: SocketOwner): void {
  if (control.socket !== undefined && exists(paths.runtime_dir)) return;
  const shared = owner.uid !== undefined || owner.gid !== undefined;
  makePrivateDir(paths.runtime_dir, { owner: owner.uid });
  if (!shared) return;
  chmod(paths.runtime_dir, SHARED_RUNTIME_MODE);
  chown(paths.runtime_dir, owner.uid, owner.gid);
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false; // whatever is wrong with it, makePrivateDir says it in a sentence
  }
}

function alreadyRunning(holder: Holder | undefined, path: string, paths: Paths): Failure {
  const who = holder === undefined ? "" : ` (pid ${holder.pid})`;
  const where = dirname(path) === paths.state_dir && path !== paths.pid_file
    ? `uses the state directory ${paths.state_dir}`
    : `is running at ${paths.socket}`;
  return new Failure(`a daemon${who} already ${where}`, {
    exit: Exit.running,
    fix: "use `supervisor status` to look at it, `supervisor shutdown` to end it",
    detail: { pid: holder?.pid, socket: paths.socket },
  });
}
