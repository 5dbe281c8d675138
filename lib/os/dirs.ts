/**
 * Directories that only we may write: where sockets, state and logs live.
 *
 * Invariant: after makePrivateDir(path) returned, the path is a real directory, owned by us (or by
 * whom the caller names), and nobody else may write in it. What is found otherwise is refused, never
 * repaired: a directory somebody else prepared is not made trustworthy by a chmod.
 */

import { dirname } from "@std/path";
import { Failure } from "../core/failure.ts";
import { codeOf, reasonOf } from "./reason.ts";

/** Mode of parents that had to be created. */
const PARENT_MODE = 0o755;

/** Bit of a directory in which only owners may rename and remove, such as /tmp. */
const STICKY = 0o1000;

/** Who else may own the directory, and what others may do. */
export interface PrivateDirOptions {
  /** Permissions when it is created; default 0700. */
  mode?: number;
  /** An owner accepted besides ourselves (root accepts every owner when it is given). */
  owner?: number;
}

/**
 * Makes sure of a private directory.
 *
 * @throws Failure when it is a symbolic link, no directory, owned by somebody else, writable by
 *   group or others, or cannot be made
 */
export function makePrivateDir(path: string, options: PrivateDirOptions = {}): void {
  const mode = options.mode ?? 0o700;
  const parent = makeParents(path);
  refuseOpenParent(path, parent);
  try {
    Deno.mkdirSync(path, { mode });
    Deno.chmodSync(path, mode); // the umask took bits from the mode above
    return;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw cannotMake(path, error);
  }
  verify(path, options.owner);
}

/** Whether {@linkcode makePrivateDir} would take a directory that is there. @throws Failure */
export function checkPrivateDir(path: string, options: PrivateDirOptions = {}): void {
  refuseOpenParent(path, dirname(path));
  verify(path, options.owner);
}

/** The checks of {@linkcode makePrivateDir} on a directory that is there. @throws Failure */
function verify(path: string, owner: number | undefined): void {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    throw new Failure(`cannot look at "${path}": ${reasonOf(error)}`, { cause: error });
  }
  if (info.isSymlink) {
    throw new Failure(`refusing to use "${path}": it is a symbolic link, not a directory`, {
      fix: "remove the link, or name the directory it points to",
    });
  }
  if (!info.isDirectory) {
    throw new Failure(`refusing to use "${path}": it is a file, not a directory`, {
      fix: "remove the file, or choose another directory",
    });
  }
  const us = Deno.uid() ?? 0;
  if (info.uid !== us && info.uid !== owner) {
    throw new Failure(
      `refusing to use "${path}": it belongs to uid ${info.uid}, this program runs as uid ${us}`,
      { fix: `give it to uid ${us} (chown), remove it, or choose another directory` },
    );
  }
  const bits = (info.mode ?? 0) & 0o777;
  if ((bits & 0o022) !== 0) {
    const octal = bits.toString(8).padStart(4, "0");
    const who = (bits & 0o002) !== 0 ? "everybody" : "its group";
    throw new Failure(`refusing to use "${path}": ${who} may write in it (mode ${octal})`, {
      fix: `Take the right away (chmod go-w "${path}"), or choose another directory.`,
    });
  }
}

/** Creates what is missing above `path`; the parent's path. */
function makeParents(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  const slash = trimmed.lastIndexOf("/");
  const parent = slash === -1 ? "." : slash === 0 ? "/" : trimmed.slice(0, slash);
  try {
    Deno.mkdirSync(parent, { recursive: true, mode: PARENT_MODE });
  } catch (error) {
    throw cannotMake(parent, error);
  }
  return parent;
}

/** Where everybody may rename entries, whatever we make could be replaced under our hands. */
function refuseOpenParent(path: string, parent: string): void {
  const mode = Deno.statSync(parent).mode ?? 0;
  if ((mode & 0o002) === 0 || (mode & STICKY) !== 0) return;
  throw new Failure(
    `refusing to use "${path}": everybody may replace it, for everybody may write in "${parent}"`,
    { fix: `take the right away (chmod o-w "${parent}"), or choose another directory` },
  );
}

function cannotMake(path: string, error: unknown): Failure {
  const code = codeOf(error);
  return new Failure(`cannot create the directory "${path}": ${reasonOf(error)}`, {
    fix: code === "EACCES" || code === "EPERM"
      ? "create it for this user, or choose another directory"
      : undefined,
    cause: error,
  });
}
