/** Whether what a path names exists; the one look at the disk that a section may take. */

import { dirname } from "@std/path";

/** Why a path is not what it should be; undefined: it is. */
export function notThere(path: string, kind: "file" | "directory"): string | undefined {
  try {
    const { isFile, isDirectory } = Deno.statSync(path);
    if (kind === "file" ? isFile : isDirectory) return undefined;
    return `${JSON.stringify(path)} is no ${kind}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return `there is no ${kind} ${JSON.stringify(path)}`;
    }
    return `${JSON.stringify(path)} cannot be looked at from ${dirname(path)}`;
  }
}
