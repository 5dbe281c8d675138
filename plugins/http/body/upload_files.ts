/**
 * The files of one request on disk.
 *
 * Invariant: a file is created new, for its owner alone, under a name nobody can guess, and given to
 * the worker's user by its handle, so that no link put in its place is ever followed. Every file
 * that was created is removed by `remove()`, unless a worker moved it away. A file that cannot be
 * stored is told to the worker by PHP's error numbers and never fails its request.
 *
 * | state  | event                              | next   | error of the entry |
 * | ------ | ---------------------------------- | ------ | ------------------ |
 * | new    | the client chose no file           | closed | 4                  |
 * | new    | its extension is refused           | closed | 8                  |
 * | new    | it cannot be created               | closed | 6                  |
 * | new    | created and given away             | open   | 0                  |
 * | new    | it cannot be given away            | closed | 7                  |
 * | open   | it cannot be written (disk full …) | closed | 7                  |
 * | open   | the part ended                     | closed | 0                  |
 */

import { type FileHandle, open } from "node:fs/promises";
import { reasonOf } from "../../../lib/os/reason.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import { type Owner, removed, type UploadNames } from "./upload_name.ts";
import { jsonText } from "./tree.ts";

/** PHP's numbers (UPLOAD_ERR_…). */
export const UploadError = {
  none: 0,
  noFile: 4,
  noDirectory: 6,
  cannotWrite: 7,
  refused: 8,
} as const;

/** What a worker is told of a file. */
export interface Upload {
  /** As the client calls it, without directories. */
  readonly name: string;
  /** As the client says. */
  readonly mime: string;
  size: number;
  error: number;
  tmpName: string;
}

/** Which files are taken, and where to. Extensions in lower case with their dot. */
export interface UploadRules {
  readonly dir: string;
  readonly forbid: readonly string[];
  readonly allow: readonly string[];
}

/** What files need to be made. */
export interface UploadHost {
  readonly names: UploadNames;
  /** Undefined: workers run as the daemon. */
  readonly owner?: Owner;
  readonly emit: Emit;
}

/** An upload as the protocol has it. */
export function uploadJson({ name, mime, size, error, tmpName }: Upload): string {
  return `{"name":${jsonText(name)},"mime":${jsonText(mime)},"size":${size},"error":${error},` +
    `"tmpName":${jsonText(tmpName)}}`;
}

/** All files of a request. */
export class UploadFiles {
  readonly #files: UploadFile[] = [];
  #told = false;

  constructor(readonly rules: UploadRules, readonly host: UploadHost) {}

  /** Begins a file, or says that it is not taken; the disk is touched with `open()`. */
  receive(name: string, mime: string): UploadFile {
    const error = refusal(name, this.rules);
    const file = new UploadFile(this, { name, mime, size: 0, error, tmpName: "" });
    this.#files.push(file);
    return file;
  }

  /** Removes what is still there. Once is enough; what cannot be removed is told. */
  async remove(): Promise<void> {
    for (const file of this.#files.splice(0)) await file.remove();
  }

  /** A file could not be stored; the first of a request is told. */
  failed(error: unknown): void {
    if (this.#told) return;
    this.#told = true;
    this.host.emit("upload_failed", { directory: this.rules.dir, error: reasonOf(error) });
  }
}

/** One file while it comes in; its calls are made one after the other, and none rejects. */
export class UploadFile {
  readonly #files: UploadFiles;
  #handle: FileHandle | undefined;
  /** Set while the file may be there. */
  #path: string | undefined;

  constructor(files: UploadFiles, readonly upload: Upload) {
    this.#files = files;
  }

  /** Creates the file, if it is taken, and gives it away. */
  async open(): Promise<void> {
    if (this.upload.error !== UploadError.none) return;
    const { rules, host } = this.#files;
    const path = `${rules.dir}/${host.names()}`;
    try {
      this.#handle = await open(path, "wx", 0o600);
    } catch (error) {
      await this.#fail(UploadError.noDirectory, error);
      return;
    }
    this.#path = this.upload.tmpName = path;
    if (host.owner === undefined) return;
    try {
      await this.#handle.chown(host.owner.uid, host.owner.gid);
    } catch (error) {
      await this.#fail(UploadError.cannotWrite, error);
    }
  }

  /** Adds bytes; does nothing once the file has an error. */
  async write(bytes: Uint8Array): Promise<void> {
    const handle = this.#handle;
    if (handle === undefined) return;
    try {
      for (let at = 0; at < bytes.length;) {
        at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
      }
      this.upload.size += bytes.length;
    } catch (error) {
      await this.#fail(UploadError.cannotWrite, error);
    }
  }

  /** The file is whole. */
  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    try {
      await handle?.close();
    } catch (error) {
      await this.#fail(UploadError.cannotWrite, error);
    }
  }

  /** The file is given up, or its request is over. */
  async remove(): Promise<void> {
    await this.close();
    const path = this.#path;
    this.#path = undefined;
    if (path !== undefined) await removed(path, this.#files.host.emit);
  }

  async #fail(code: number, error: unknown): Promise<void> {
    this.#files.failed(error);
    this.upload.error = code;
    this.upload.size = 0;
    this.upload.tmpName = "";
    await this.remove();
  }
}

/** Why a file is not taken; 0: it is. By the extension alone: what it is, the worker finds out. */
function refusal(name: string, { forbid, allow }: UploadRules): number {
  if (name === "") return UploadError.noFile;
  const dot = name.lastIndexOf(".");
  const extension = dot < 0 ? "" : name.slice(dot).toLowerCase();
  const taken = !forbid.includes(extension) && (allow.length === 0 || allow.includes(extension));
  return taken ? UploadError.none : UploadError.refused;
}
