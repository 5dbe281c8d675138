/**
 * What children inherit of the daemon's environment.
 *
 * Invariant: nothing that is meant for the daemon alone (its service manager's sockets, its own
 * switches, what a supervisor above told it of itself) reaches a child.
 */

import { isOursAlone } from "../os/notify.ts";

/** Switches of our own, and what we tell programs: the daemon may be one of another daemon. */
const OURS =
  /^SUPERVISOR_(DETACHED|DEBUG|APPLICATION|PROCESS_ID|RELEASE_ID|RELEASE_PATH|REVISION|PID|(.+_)?PORT|REPLICA_(INDEX|COUNT))$/;

/** @param env the daemon's whole environment, `--dotenv` values included */
export function inheritable(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !isOursAlone(name) && !OURS.test(name)),
  );
}
