/**
 * Files that must be whole after any crash: written beside, synced, renamed.
 *
 * Invariant: at every moment the path holds either the old text or the new text, all of it; after
 * atomicWrite returned, the new one survives a power cut.
 *
 * | fails at                | path holds | left behind                                    |
 * | ----------------------- | ---------- | ---------------------------------------------- |
 * | open, write, sync       | old        | nothing (killed there: a temporary, see below) |
 * | rename                  | old        | nothing                                        |
 * | sync of the directory   | new        | nothing; reported, for it may not be durable   |
 *
 * A temporary left by a killed writer is removed by the next write of the same path.
 */

import { Failure } from "../core/failure.ts";
import { codeOf, reasonOf } from "./reason.ts";

/** Mark of a temporary: `.<name>.<pid>.tmp` beside the file. */
const TEMPORARY = ".tmp";

/**
 * Replaces the text of a file in one step. The disk is waited for without holding up anybody else; the
 * caller sees to it that a path is not written twice at a time.
 *
 * @param mode permissions of the file, default 0600
 * @throws Failure naming the path and why (no space, read-only, no such directory …)
 */
export async function atomicWrite(path: string, text: string, mode = 0o600): Promise<void> {
  const { directory, name } = split(path);
  removeLeftovers(directory, name);
  const temporary = `${directory}/.${name}.${Deno.pid}${TEMPORARY}`;
  try {
    await writeSynced(temporary, text, mode);
    Deno.renameSync(temporary, path);
  } catch (error) {
    removeIfThere(temporary);
    throw new Failure(`cannot write "${path}": ${reasonOf(error)}`, {
      fix: fixFor(codeOf(error), directory),
      cause: error,
    });
  }
  try {
    await syncDirectory(directory);
  } catch (error) {
    throw new Failure(`wrote "${path}" but could not make it durable: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** The text of a file; undefined when there is none. @throws Failure when it cannot be read. */
export function readTextIfAny(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new Failure(`cannot read "${path}": ${reasonOf(error)}`, { cause: error });
  }
}

/** Removes a file; it need not be there. @throws Failure when it is there and cannot be removed. */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return;
    throw new Failure(`cannot remove "${path}": ${reasonOf(error)}`, { cause: error });
  }
}

/** Changes permissions. @throws Failure naming path and mode. */
export function chmod(path: string, mode: number): void {
  try {
    Deno.chmodSync(path, mode);
  } catch (error) {
    const octal = mode.toString(8).padStart(4, "0");
    throw new Failure(`cannot set mode ${octal} on "${path}": ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** Changes owner and group (undefined: leave). @throws Failure naming path and ids. */
export function chown(path: string, uid: number | undefined, gid: number | undefined): void {
  try {
    Deno.chownSync(path, uid ?? null, gid ?? null);
  } catch (error) {
    const who = [
      uid === undefined ? [] : [`owner ${uid}`],
      gid === undefined ? [] : [`group ${gid}`],
    ].flat().join(" and ");
    throw new Failure(`cannot give "${path}" to ${who}: ${reasonOf(error)}`, {
      fix: codeOf(error) === "EPERM"
        ? "Only root may give files away; others may choose a group they are a member of."
        : undefined,
      cause: error,
    });
  }
}

/** Makes renames and removals in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await Deno.open(directory, { read: true });
  try {
    await handle.sync();
  } finally {
    handle.close();
  }
}

async function writeSynced(path: string, text: string, mode: number): Promise<void> {
  using file = Deno.openSync(path, { write: true, createNew: true, mode });
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
  Deno.chmodSync(path, mode); // the umask took bits from the mode above
  await file.sync();
}

function removeLeftovers(directory: string, name: string): void {
  let entries: Iterable<Deno.DirEntry>;
  try {
    entries = Deno.readDirSync(directory);
  } catch {
    return; // a directory that cannot be listed may still be written; if not, the write says so
  }
  for (const entry of entries) {
    if (!entry.name.startsWith(`.${name}.`) || !entry.name.endsWith(TEMPORARY)) continue;
    const writer = entry.name.slice(name.length + 2, -TEMPORARY.length);
    if (!/^\d+$/.test(writer) || writerLives(Number(writer))) continue;
    removeIfThere(`${directory}/${entry.name}`);
  }
}

/** Whether a temporary may still be in use. Ours is not: a path is written once at a time. */
function writerLives(pid: number): boolean {
  if (pid === Deno.pid) return false;
  try {
    return Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch {
    return false; // no such process
  }
}

function fixFor(code: string | undefined, directory: string): string | undefined {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return `free space on the file system of "${directory}"`;
    case "EACCES":
    case "EPERM":
      return `let this user write in "${directory}", or choose another directory`;
    case "EROFS":
      return `mount the file system of "${directory}" writable, or choose another directory`;
    case "ENOENT":
      return `create the directory "${directory}"`;
  }
}

function split(path: string): { directory: string; name: string } {
  const slash = path.lastIndexOf("/");
  return {
    directory: slash <= 0 ? (slash === 0 ? "/" : ".") : path.slice(0, slash),
    name: path.slice(slash + 1),
  };
}
