/**
 * Who answers at a control socket, for commands that decide by it.
 *
 * | what lies there                     | what the caller gets                                  |
 * | ----------------------------------- | ----------------------------------------------------- |
 * | nothing, or a socket nobody serves  | undefined                                             |
 * | a daemon of this application        | its status                                            |
 * | a daemon of another application     | Failure, exit 5, naming both                          |
 * | something that is no socket         | Failure                                               |
 * | somebody silent, strange, forbidden | Failure, exit 4                                       |
 *
 * Invariant: "nobody" is only said when the kernel says so.
 */

import type { ControlClient } from "../control/client.ts";
import type { Status } from "../control/operations.ts";
import { Exit, Failure } from "../core/failure.ts";
import { codeOf } from "../os/reason.ts";
import { listensAt } from "../os/unix_sockets.ts";

/** @throws Failure, see above */
export async function neighbourAt(
  client: ControlClient,
  application: string,
): Promise<Status | undefined> {
  const { path } = client;
  if (!mayBeSocket(path)) {
    throw new Failure(`what lies at the control socket "${path}" is not a socket`, {
      fix: "move it away, or set control.socket to another place",
    });
  }
  if (!listensAt(path)) return undefined;
  const status = await client.status();
  if (status.application === application) return status;
  throw new Failure(
    `the daemon at "${path}" runs the application "${status.application}", not "${application}"`,
    {
      exit: Exit.running,
      fix: "give each application its own control.socket",
      detail: { socket: path, pid: status.pid, application: status.application },
    },
  );
}

function mayBeSocket(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSocket === true;
  } catch (error) {
    // Nothing there, or nothing that we may see: connecting tells which.
    if (codeOf(error) !== undefined) return true;
    throw error;
  }
}
