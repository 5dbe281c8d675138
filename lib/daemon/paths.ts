/**
 * Where a daemon keeps its things: control socket, pid file, state, logs, spools.
 *
 * Invariant: pure. The same identity, environment and user give the same places, so that a client
 * command finds the daemon without asking it. Never a predictable name in a world-writable directory.
 */

import { basename, dirname, isAbsolute, join } from "@std/path";
import type { ControlIdentity } from "../config/config.ts";
import { Exit, Failure } from "../core/failure.ts";

/** Longest path of a Unix socket the kernel takes (`sun_path` less the final zero byte). */
const SOCKET_PATH_MAX = 107;

/** The newest file of the journal, in the state directory. */
export const JOURNAL = "events.jsonl";

/** The places of one daemon; all absolute. */
export interface Paths {
  /** Directory of the socket and the pid file. */
  runtime_dir: string;
  socket: string;
  pid_file: string;
  state_dir: string;
  log_dir: string;
  /** Where children write; below `log_dir`, because it is log data that is not yet read. */
  spool_dir: string;
}

/**
 * @param identity application, control and state_dir of the configuration
 * @param env the environment: HOME, XDG_RUNTIME_DIR, XDG_STATE_HOME
 * @param uid effective user id
 * @throws Failure (exit 3) when there is no home to put things into, or the socket path is too long
 */
export function pathsOf(
  identity: ControlIdentity,
  env: Record<string, string | undefined>,
  uid: number,
): Paths {
  const name = identity.application;
  const state_dir = identity.state_dir ?? defaultStateDir(name, env, uid);
  const log_dir = uid === 0 && identity.state_dir === undefined
    ? `/var/log/supervisor/${name}`
    : join(state_dir, "log");
  const socket = identity.control.socket ??
    join(defaultRuntimeDir(name, state_dir, env, uid), "control.sock");
  if (new TextEncoder().encode(socket).length > SOCKET_PATH_MAX) {
    throw new Failure(
      `the control socket path "${socket}" is longer than the ${SOCKET_PATH_MAX} bytes Linux allows`,
      { exit: Exit.config, fix: "set control.socket to a shorter path" },
    );
  }
  return {
    runtime_dir: dirname(socket),
    socket,
    pid_file: pidFileOf(socket),
    state_dir,
    log_dir,
    spool_dir: join(log_dir, "spool"),
  };
}

/**
 * `control.sock` has `pid` beside it; a socket of another name has `NAME.pid`, so that several
 * daemons can share a directory.
 */
function pidFileOf(socket: string): string {
  const name = basename(socket);
  if (name === "control.sock") return join(dirname(socket), "pid");
  return join(dirname(socket), `${name.replace(/\.sock(et)?$/, "")}.pid`);
}

function defaultStateDir(
  name: string,
  env: Record<string, string | undefined>,
  uid: number,
): string {
  if (uid === 0) return `/var/lib/supervisor/${name}`;
  if (isPlace(env.XDG_STATE_HOME)) return join(env.XDG_STATE_HOME, "supervisor", name);
  if (isPlace(env.HOME)) return join(env.HOME, ".local/state/supervisor", name);
  throw new Failure("there is no place for the state: neither XDG_STATE_HOME nor HOME is set", {
    exit: Exit.config,
    fix: "set state_dir in the configuration, or HOME in the environment",
  });
}

function defaultRuntimeDir(
  name: string,
  stateDir: string,
  env: Record<string, string | undefined>,
  uid: number,
): string {
  if (uid === 0) return `/run/supervisor/${name}`;
  if (isPlace(env.XDG_RUNTIME_DIR)) return join(env.XDG_RUNTIME_DIR, "supervisor", name);
  return join(stateDir, "run");
}

/** Relative ones count as not set (XDG Base Directory Specification). */
function isPlace(value: string | undefined): value is string {
  return value !== undefined && isAbsolute(value);
}
