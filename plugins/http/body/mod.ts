/**
 * The forms of requests: what workers get instead of the bytes of an urlencoded or multipart body.
 *
 * Invariant: when `readTree` rejects, no temporary file of it is left; when it resolves, its caller
 * calls `remove()` at the end of the request, whatever that end is.
 */

import type { HttpConfig } from "../../../lib/config/roadrunner/http.ts";
import type { Body } from "../../../lib/http/mod.ts";
import { collect } from "./collect.ts";
import { readMultipart } from "./multipart.ts";
import { jsonText, Tree } from "./tree.ts";
import {
  type Upload,
  UploadError,
  UploadFiles,
  type UploadHost,
  uploadJson,
} from "./upload_files.ts";
import { readUrlencoded } from "./urlencoded.ts";

export { collect, discard } from "./collect.ts";
export type { UploadHost } from "./upload_files.ts";
export { type Owner, sweepUploads, type UploadNames, uploadNames } from "./upload_name.ts";

/**
 * Most bytes of fields, also where whole requests may be larger: they are held in memory, and one
 * text of the runtime has an end. Files do not count.
 */
const MOST_FIELD_BYTES = 64 * 1024 * 1024;

/** What the configuration says of forms. */
export type FormRules = Pick<HttpConfig, "max_request_size" | "uploads">;

/** A form that was read. */
export interface Form {
  /** The tree of fields as JSON; `{}` when there is none. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The tree of files as JSON text; null: no file. */
  readonly uploads: string | null;
  /** Removes the temporary files that are still there. Never rejects. */
  remove(): Promise<void>;
}

/** Which kind of form a content type announces; undefined: none. */
export function formKind(contentType: string): "urlencoded" | "multipart" | undefined {
  const type = contentType.toLowerCase();
  if (type.includes("application/x-www-form-urlencoded")) return "urlencoded";
  if (type.includes("multipart/form-data")) return "multipart";
}

/**
 * Reads a body as the form its content type announces; it must announce one.
 *
 * @throws BodyBroken with the status to answer: 400 for a broken or contradictory form, 413 for one
 *   beyond a limit, or what the body itself throws when the client left
 */
export async function readTree(
  body: Body,
  contentType: string,
  rules: FormRules,
  host: UploadHost,
): Promise<Form> {
  const fields = new Tree<string>((value) => value === "");
  if (formKind(contentType) === "urlencoded") {
    const most = Math.min(rules.max_request_size, MOST_FIELD_BYTES);
    readUrlencoded(await collect(body, most), (name, value) => fields.add(name, value));
    return { body: bytesOf(fields), uploads: null, remove: () => Promise.resolve() };
  }
  const uploads = new Tree<Upload>(({ error }) => error === UploadError.noFile);
  const files = new UploadFiles(rules.uploads, host);
  const limits = { most: rules.max_request_size, fields: MOST_FIELD_BYTES };
  try {
    await readMultipart(body, contentType, limits, {
      field: (name, value) => fields.add(name, value),
      file: (name, client, mime) => {
        const file = files.receive(client, mime);
        uploads.add(name, file.upload);
        return file;
      },
    });
    return {
      body: bytesOf(fields),
      uploads: uploads.empty ? null : uploads.json(uploadJson),
      remove: () => files.remove(),
    };
  } catch (error) {
    await files.remove();
    throw error;
  }
}

function bytesOf(fields: Tree<string>): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(fields.json(jsonText));
}
