/**
 * Middleware `static`: files of a directory, without a worker.
 *
 * | request                                       | becomes                        |
 * | --------------------------------------------- | ------------------------------ |
 * | not GET or HEAD; no file of that name         | the worker's                   |
 * | `..` or NUL in the path                       | 403                            |
 * | a link that leads out of the directory        | 403                            |
 * | a link to a file that is not to be served     | the worker's                   |
 * | the client has it already                     | 304                            |
 * | one range of bytes                            | 206, or 416                    |
 * | a file                                        | 200                            |
 *
 * Invariants: only regular files whose real place is below the real place of the directory are opened;
 * a file is closed when its answer is over, however it ends.
 */

import { join } from "@std/path";
import type { StaticConfig } from "../../../lib/config/roadrunner/http.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import {
  answer,
  type Exchange,
  noBody,
  type RequestHead,
  ResponseHead,
} from "../../../lib/http/mod.ts";
import { DateField } from "../date.ts";
import { judge, type Validators } from "./conditions.ts";
import { onDisk } from "./disk.ts";
import { type Pairs, pairsOf, requestWith, withFields } from "./edit_head.ts";
import { FileBody } from "./file_body.ts";
import { extensionOf, type FileName, fileName, isServed } from "./file_path.ts";
import { typeOf } from "./mime.ts";
import type { Middleware, MiddlewareHost } from "./contract.ts";
import { openRegular, type RegularFile } from "./open_regular.ts";
import { WrappedExchange } from "./wrapped.ts";

/** A file that is open, and what it says of itself. */
interface OpenFile extends Validators {
  file: Deno.FsFile;
  extension: string;
}

/**
 * Makes the middleware; without a section it passes everything on.
 * @throws Failure when the directory is missing
 */
export function serveStatic(
  config: StaticConfig | undefined,
  host: Pick<MiddlewareHost, "clock">,
): Middleware {
  if (config === undefined) return (next) => next;
  refuseMissing(config.dir);
  const files = new StaticFiles(config, new DateField(host.clock));
  const request = pairsOf(config.request);
  return (next) => async (exchange) => {
    if (await files.answer(exchange)) return;
    if (exchange.gone) return;
    await next(request.length === 0 ? exchange : new AddressedExchange(exchange, request));
  };
}

function refuseMissing(dir: string): void {
  const fix = "set http.static.dir to a directory that is there";
  try {
    if (Deno.statSync(dir).isDirectory) return;
  } catch (error) {
    const message = `cannot serve files of "${dir}" (http.static.dir): ${messageOf(error)}`;
    throw new Failure(message, { fix, cause: error });
  }
  throw new Failure(`cannot serve files of "${dir}" (http.static.dir): it is no directory`, {
    fix,
  });
}

/** A request with the fields of `static.request`. */
class AddressedExchange extends WrappedExchange {
  readonly #head: RequestHead;

  constructor(inner: Exchange, fields: Pairs) {
    super(inner);
    this.#head = requestWith(inner.head, fields);
  }

  override get head(): RequestHead {
    return this.#head;
  }
}

class StaticFiles {
  readonly #config: StaticConfig;
  readonly #date: DateField;
  readonly #fields: Pairs;

  constructor(config: StaticConfig, date: DateField) {
    this.#config = config;
    this.#date = date;
    this.#fields = pairsOf(config.response);
  }

  /** @returns false when it is the worker's to answer */
  async answer(exchange: Exchange): Promise<boolean> {
    const { method, target } = exchange;
    if (method !== "GET" && method !== "HEAD") return false;
    const name = fileName(target, this.#config);
    if (name === "none") return false;
    const found = name === "forbidden" ? name : await onDisk(() => this.#open(name));
    if (found === undefined) return false;
    if (found === "forbidden") {
      await answer(exchange, 403, "there is no way to that path");
      return true;
    }
    try {
      await this.#send(exchange, found);
    } finally {
      found.file.close();
    }
    return true;
  }

  /** Undefined: there is no such file to be served. */
  async #open({ name }: Exclude<FileName, string>): Promise<OpenFile | "forbidden" | undefined> {
    const { dir } = this.#config;
    try {
      // Asked each time: the directory may be a link that moves with every deploy.
      const root = await Deno.realPath(dir);
      const path = await Deno.realPath(join(root, name));
      if (!path.startsWith(root === "/" ? root : `${root}/`)) return "forbidden";
      if (!isServed(path, this.#config)) return undefined;
      const opened = await openRegular(path);
      return opened === undefined ? undefined : this.#describe(opened, extensionOf(path));
    } catch {
      // Missing, unreadable, a file where a directory should be: what is asked for is no file of ours.
      return undefined;
    }
  }

  #describe({ file, info }: RegularFile, extension: string): OpenFile {
    const { size, mtime, ino } = info;
    const modified = mtime?.getTime() ?? 0;
    const { calculate_etag, weak } = this.#config;
    const tag = `"${[size, modified, ino ?? 0].map((n) => n.toString(16)).join("-")}"`;
    return { file, extension, size, modified, etag: tagOf(calculate_etag, weak, tag) };
  }

  async #send(exchange: Exchange, found: OpenFile): Promise<void> {
    const { file, size, modified, etag, extension } = found;
    const fields: [string, string][] = [
      ["Last-Modified", new Date(modified).toUTCString()],
      ["Date", this.#date.value],
    ];
    if (etag !== undefined) fields.push(["ETag", etag]);
    const verdict = judge(exchange.method, exchange.head, found);
    if (verdict === "unchanged") return await exchange.respond(this.#head(304, fields), noBody());
    fields.push(["Accept-Ranges", "bytes"]);
    if (verdict === "unsatisfiable") {
      fields.push(["Content-Range", `bytes */${size}`]);
      return await exchange.respond(this.#head(416, fields), noBody());
    }
    fields.push(["Content-Type", typeOf(extension)]);
    if (verdict === "whole") {
      return await exchange.respond(this.#head(200, fields), new FileBody(file, 0, size));
    }
    const { from, length } = verdict;
    fields.push(["Content-Range", `bytes ${from}-${from + length - 1}/${size}`]);
    await exchange.respond(this.#head(206, fields), new FileBody(file, from, length));
  }

  #head(status: number, fields: Pairs): ResponseHead {
    return withFields(ResponseHead.of(status, fields), this.#fields);
  }
}

function tagOf(wanted: boolean, weak: boolean, tag: string): string | undefined {
  if (!wanted) return undefined;
  return weak ? `W/${tag}` : tag;
}
