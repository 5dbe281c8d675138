/**
 * The directory of a release, as the caller meant it.
 *
 * Invariant: what goes to the daemon is absolute and, wherever the caller may look, the real path: a
 * symbolic link that is moved later changes nothing for a running release.
 */

import { resolve } from "@std/path";
import { Failure } from "../core/failure.ts";
import { codeOf, reasonOf } from "../os/reason.ts";

/** The real path of `given`, seen from `cwd`. @throws Failure when there is no such directory */
export async function releaseDir(cwd: string, given: string): Promise<string> {
  const path = resolve(cwd, given);
  const fix = "name the directory of the release with --release-path";
  try {
    const real = await Deno.realPath(path);
    if ((await Deno.stat(real)).isDirectory) return real;
  } catch (error) {
    // A deploy user may reach the daemon without the right to look into releases: the daemon looks.
    if (codeOf(error) === "EACCES") return path;
    throw new Failure(`the release path "${path}" cannot be used: ${reasonOf(error)}`, { fix });
  }
  throw new Failure(`the release path "${path}" is not a directory`, { fix });
}
