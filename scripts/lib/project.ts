/**
 * Where things are in this repository, for scripts.
 *
 * Invariant: no script depends on the working directory it is started from.
 */

import { fromFileUrl, join } from "@std/path";

/** The repository. */
export const ROOT = fromFileUrl(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Everything scripts keep between runs; ignored by git, safe to delete. */
export const CACHE = join(ROOT, ".cache");

/** The program's entry. */
export const MAIN = join(ROOT, "main.ts");

/**
 * Entries of threads: each is a bundle of its own in the program, beside that of `main.ts` and under
 * this name.
 */
export const THREADS: Readonly<Record<string, string>> = {
  "jobs_sqlite.js": join(ROOT, "plugins/jobs/sqlite/worker.ts"),
};

/** Where the compiled program goes unless asked otherwise. */
export const BINARY = join(ROOT, "supervisor");

/** What the compiled program is made of: a change in any of these makes a new build necessary. */
const INGREDIENTS = ["main.ts", "lib", "plugins", "deno.json", "deno.lock", "scripts/lib"];

/** Every file below `path` (or `path` itself), absolute, sorted; nothing when it does not exist. */
export function filesBelow(path: string): string[] {
  const found: string[] = [];
  const visit = (at: string) => {
    for (const entry of Deno.readDirSync(at)) {
      const child = join(at, entry.name);
      if (entry.isDirectory) visit(child);
      else if (entry.isFile) found.push(child);
    }
  };
  try {
    if (Deno.statSync(path).isFile) return [path];
    visit(path);
  } catch (error) {
    // A part that does not exist contributes nothing; its appearance changes the fingerprint.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found.sort();
}

/** SHA-256 in hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** One hash over the contents and names of all ingredients of the program. */
export async function fingerprint(): Promise<string> {
  const lines: string[] = [];
  for (const part of INGREDIENTS) {
    for (const file of filesBelow(join(ROOT, part))) {
      lines.push(`${await sha256(Deno.readFileSync(file))} ${file.slice(ROOT.length + 1)}`);
    }
  }
  return await sha256(new TextEncoder().encode(lines.join("\n")));
}
