/**
 * Opens a connection to a control socket, or says precisely why there is none.
 *
 * Invariant: whatever the kernel answers becomes a sentence about the daemon, with exit code 4.
 */

import { dirname } from "@std/path";
import { type Clock, within } from "../core/clock.ts";
import { Exit, Failure } from "../core/failure.ts";
import { codeOf, reasonOf } from "../os/reason.ts";

/** How long the daemon may take to accept, milliseconds. */
const CONNECT_TIME = 10_000;

/** A connection to the daemon at `path`; close it. @throws Failure, exit 4 */
export async function reach(path: string, clock: Clock): Promise<Deno.UnixConn> {
  let connecting: Promise<Deno.UnixConn>;
  try {
    connecting = Deno.connect({ transport: "unix", path });
    const connected = await within(clock, CONNECT_TIME, connecting);
    if (connected.done) return connected.value;
  } catch (error) {
    throw unreachable(path, error);
  }
  connecting.then((late) => late.close(), () => {});
  throw noDaemon(
    `the daemon at "${path}" does not accept connections`,
    "look at its log and at what the machine is busy with",
  );
}

function unreachable(path: string, error: unknown): Failure {
  const code = codeOf(error);
  if (code === "EACCES" || code === "EPERM") {
    return noDaemon(
      `no permission to talk to the daemon at "${path}" (${ownerOf(path)})`,
      "run the command as its owner, or set control.group and control.mode in the configuration",
    );
  }
  if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTDIR") {
    if (isOther(path)) {
      return noDaemon(
        `no daemon reachable at "${path}": what lies there is not a socket`,
        "move it away, or set control.socket to another place",
      );
    }
    return noDaemon(
      `no daemon reachable at "${path}": ${explain(code)}`,
      "start one with `supervisor serve --detach`, or name its socket with --socket",
    );
  }
  return noDaemon(`no daemon reachable at "${path}": ${reasonOf(error)}`, "check --socket");
}

function explain(code: string): string {
  if (code === "ECONNREFUSED") return "nobody listens there any more";
  if (code === "ENOTDIR") return "a part of the path is not a directory";
  return "there is no such socket";
}

/** Whether something lies there that is no socket. */
function isOther(path: string): boolean {
  try {
    return !Deno.statSync(path).isSocket;
  } catch {
    return false; // nothing to be seen: what connecting said is all that is known
  }
}

/** Whose the socket is, or the nearest directory that may be looked at. */
function ownerOf(path: string): string {
  for (let at = path;; at = dirname(at)) {
    try {
      const { uid, gid, mode } = Deno.lstatSync(at);
      const bits = (mode! & 0o7777).toString(8).padStart(3, "0");
      const what = at === path ? "it" : `"${at}"`;
      return `${what} belongs to uid ${uid}, gid ${gid}, mode ${bits}`;
    } catch (error) {
      // Not to be seen by us: its directory says whose it is.
      if (at === dirname(at)) return reasonOf(error);
    }
  }
}

function noDaemon(message: string, fix: string): Failure {
  return new Failure(message, { exit: Exit.noDaemon, fix });
}
