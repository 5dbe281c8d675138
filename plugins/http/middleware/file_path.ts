/**
 * From a request's path to the name of a file below a directory.
 *
 * | path                                        | becomes   |
 * | ------------------------------------------- | --------- |
 * | a segment `..`, however it is written; NUL  | forbidden |
 * | broken percent-encoding or UTF-8            | no file   |
 * | a directory (`/` at the end)                | no file   |
 * | a segment that begins with a dot            | no file (but `.well-known`) |
 * | a name without an extension                 | no file   |
 * | an extension that is not to be served       | no file   |
 * | everything else                             | a name    |
 *
 * Invariant: pure; a name is relative, has no segment `.` or `..`, and still has to be looked up,
 * because links may lead anywhere.
 */

import { extname } from "@std/path";

/** Which extensions are served; lower case, with their dot. */
export interface Extensions {
  forbid: readonly string[];
  /** Empty: all. */
  allow: readonly string[];
}

/** `forbidden`: asked for with ill intent. `none`: whatever it is, it is no file of ours. */
export type FileName = { name: string } | "forbidden" | "none";

/** Reads a request target: path and query. */
export function fileName(target: string, extensions: Extensions): FileName {
  const query = target.search(/[?#]/);
  const raw = query < 0 ? target : target.slice(0, query);
  let path: string;
  try {
    path = decodeURIComponent(raw);
  } catch {
    // Not UTF-8 or no percent-encoding: an application may know what it means.
    return "none";
  }
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (path.includes("\0") || segments.includes("..")) return "forbidden";
  if (!path.startsWith("/") || path.endsWith("/") || segments.length === 0) return "none";
  if (segments.some((one) => one.startsWith(".") && one !== ".well-known")) return "none";
  const name = segments.join("/");
  return isServed(name, extensions) ? { name } : "none";
}

/** Whether a file of this name may be served. */
export function isServed(name: string, { forbid, allow }: Extensions): boolean {
  const extension = extensionOf(name);
  if (extension === "" || forbid.includes(extension)) return false;
  return allow.length === 0 || allow.includes(extension);
}

/** Lower case, with its dot; "" for none. */
export function extensionOf(name: string): string {
  return extname(name).toLowerCase();
}
