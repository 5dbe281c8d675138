/**
 * Files by a pattern as shells know it: `*`, `?` and `[…]` within one part of a path.
 *
 * Invariant: sorted, files only; a directory that cannot be read has none.
 */

import { isAbsolute, join } from "@std/path";

/** @param dir absolute; relative patterns start there */
export function filesMatching(pattern: string, dir: string): string[] {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  let found = [isAbsolute(pattern) ? "/" : dir];
  for (const part of parts) {
    const next = part.replace(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")
      .replaceAll("[!", "[^");
    if (!/[*?[]/.test(part)) found = found.map((path) => join(path, part));
    else found = found.flatMap((path) => namesIn(path, part, next).map((name) => join(path, name)));
  }
  return found.filter(isFile).sort();
}

function namesIn(dir: string, part: string, expression: string): string[] {
  let matches: RegExp;
  try {
    matches = new RegExp(`^${expression}$`);
  } catch {
    return []; // a bracket that is not closed: matches nothing
  }
  try {
    return [...Deno.readDirSync(dir)].map(({ name }) => name)
      .filter((name) => matches.test(name) && (part.startsWith(".") || !name.startsWith(".")));
  } catch {
    return []; // not there or not readable: the caller says that there are no files
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
