/**
 * A copy of a directory, for tests that let an example run without touching it.
 *
 * Invariant: nothing that a daemon of somebody's has left there comes along.
 */

import { join } from "@std/path";

/** Copies `from` with everything below to `to`. */
export function copyTree(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (name === ".supervisor") continue;
    if (isDirectory) copyTree(join(from, name), join(to, name));
    else Deno.copyFileSync(join(from, name), join(to, name));
  }
}
