/**
 * Tests that become somebody else, in a place of their own.
 *
 * The daemon sees an /etc/group of its own (a mount of its own namespace), in which `nobody` has a
 * supplementary group, so that nothing depends on the machine's users.
 *
 * Invariant: where that is not possible the test is ignored, and says why.
 */

import { daemonTest } from "./daemon.ts";

/** Id of the user `nobody`, and of its own group. */
export const NOBODY = 65534;

/** Id of its supplementary group, `extra`. */
export const EXTRA = 7654;

/** Runs the rest of the command line where `nobody` is in the group `extra`. */
export const WITH_GROUP = [
  "unshare",
  "-m",
  "sh",
  "-c",
  `group=$(mktemp) && cat /etc/group >$group && echo "extra:x:${EXTRA}:nobody" >>$group &&
    chmod 644 $group && mount --bind $group /etc/group && rm $group && exec "$@"`,
  "sh",
];

const possible = new Deno.Command(WITH_GROUP[0], {
  args: [...WITH_GROUP.slice(1), "true"],
  stderr: "null",
}).outputSync().success;

/** A test that needs root and a mount namespace. */
export function rootTest(...args: Parameters<typeof daemonTest>): void {
  if (possible) daemonTest(...args);
  else Deno.test.ignore(`${args[0]} (needs root)`, () => {});
}
