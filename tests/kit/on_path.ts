/** The program under test under its own name, for shells. */

import { join } from "@std/path";

/**
 * Puts `supervisor` into a directory.
 *
 * @param argv the command line of the program under test
 * @returns PATH with that directory first
 */
export function onPath(directory: string, argv: readonly string[]): string {
  Deno.mkdirSync(directory, { recursive: true });
  const file = join(directory, "supervisor");
  const quoted = argv.map((word) => `'${word}'`).join(" ");
  Deno.writeTextFileSync(file, `#!/bin/sh\nexec ${quoted} "$@"\n`);
  Deno.chmodSync(file, 0o755);
  return `${directory}:${Deno.env.get("PATH")}`;
}
