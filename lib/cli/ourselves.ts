/** The command line of this very program, compiled or from source. */

import { fromFileUrl } from "@std/path";

/** Program and first arguments; a command follows. */
export function ourselves(): string[] {
  const program = Deno.execPath();
  if (Deno.build.standalone) return [program];
  return [program, "run", "--quiet", "-A", "--unstable-net", fromFileUrl(Deno.mainModule)];
}
