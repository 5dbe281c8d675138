/**
 * Names of temporary files of uploads, and how those of a dead daemon are found again.
 *
 * Invariant: a name cannot be guessed and says which daemon made it. Only a file that bears such a
 * name, is a regular file of one of our users, whose daemon is dead and which nobody wrote for a day
 * is ever removed by somebody else than its request: the day is for directories that are shared with
 * a container whose processes are not seen here.
 */

import type { Clock } from "../../../lib/core/clock.ts";
import type { PidIdentity, System } from "../../../lib/os/system.ts";
import { codeOf, reasonOf } from "../../../lib/os/reason.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";

/** Who the workers are; files are given to them. */
export interface Owner {
  uid: number;
  gid: number;
}

const PREFIX = "supervisor-upload";
const NAME = new RegExp(`^${PREFIX}-(\\d+)-(\\d+)-[0-9a-f]{32}$`);
const RANDOM_BYTES = 16;

/** Age of a left file before it is removed. */
const LEFT_MS = 24 * 60 * 60 * 1000;

/** Entries of the directory that are looked at; the rest waits for the next start. */
const MOST_ENTRIES = 100_000;

/** Makes the names of one daemon's temporary files. */
export type UploadNames = () => string;

/** Names for the files of this process. */
export function uploadNames(system: System): UploadNames {
  const start = system.identify(Deno.pid)?.start ?? "0";
  return () => {
    const random = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)).toHex();
    return `${PREFIX}-${Deno.pid}-${start}-${random}`;
  };
}

/** What a sweep needs. */
export interface SweepHost {
  readonly system: System;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Removes the files that daemons left in `directory` when they were killed. Tells, never throws. */
export async function sweepUploads(
  directory: string,
  host: SweepHost,
  owner?: Owner,
): Promise<void> {
  let files = 0;
  try {
    let seen = 0;
    for await (const entry of Deno.readDir(directory)) {
      if (++seen > MOST_ENTRIES) break;
      const maker = makerOf(entry.name, host.system);
      if (maker === undefined || host.system.alive(maker)) continue;
      const path = `${directory}/${entry.name}`;
      if (await isLeft(path, host.clock, owner) && await removed(path, host.emit)) files++;
    }
  } catch (error) {
    host.emit("upload_failed", { directory, error: reasonOf(error) });
  }
  if (files > 0) host.emit("uploads_swept", { directory, files });
}

/**
 * Removes a file; it need not be there, a worker may have moved it away. What cannot be removed is
 * told.
 * @returns whether it was there
 */
export async function removed(path: string, emit: Emit): Promise<boolean> {
  try {
    await Deno.remove(path);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code !== "ENOENT" && code !== "ENOTDIR") {
      emit("upload_left", { path, error: reasonOf(error) });
    }
    return false;
  }
}

/** The daemon that gave a file its name; undefined: it is no name of ours. */
function makerOf(name: string, system: System): PidIdentity | undefined {
  const [, pid, start] = NAME.exec(name) ?? [];
  if (pid === undefined) return undefined;
  return { pid: Number(pid), start, boot_id: system.bootId };
}

async function isLeft(path: string, clock: Clock, owner?: Owner): Promise<boolean> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false; // its own request was faster
    throw error;
  }
  const ours = info.uid === Deno.uid() || info.uid === owner?.uid;
  return info.isFile && ours && clock.wall() - (info.mtime?.getTime() ?? Infinity) > LEFT_MS;
}
