/**
 * What children inherit of the daemon's environment.
 *
 * Invariant: nothing that is meant for the daemon alone (its service manager's sockets, its own
 * switches) reaches a child.
 */

import { isOursAlone } from "../os/notify.ts";

/** Switches of our own. */
const OURS = ["SUPERVISOR_DETACHED", "SUPERVISOR_DEBUG"];

/** @param env the daemon's whole environment, `--dotenv` values included */
export function inheritable(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !isOursAlone(name) && !OURS.includes(name)),
  );
}
