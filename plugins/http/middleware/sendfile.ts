/**
 * Middleware `sendfile`: a worker names a file in `X-Sendfile`, the client gets its content.
 *
 * | the file is         | the client gets                             |
 * | ------------------- | ------------------------------------------- |
 * | a regular file      | the worker's status and fields, its content |
 * | missing             | 404, and an event                           |
 * | anything else       | 500, and an event                           |
 *
 * Invariants: the name of the file never reaches the client; a file is closed when its answer is over.
 */

import { messageOf } from "../../../lib/core/failure.ts";
import { answer, type Body, type Exchange, type ResponseHead } from "../../../lib/http/mod.ts";
import { onDisk } from "./disk.ts";
import { withFields } from "./edit_head.ts";
import { FileBody } from "./file_body.ts";
import { extensionOf } from "./file_path.ts";
import { typeOf } from "./mime.ts";
import type { Middleware, MiddlewareHost } from "./contract.ts";
import { openRegular, type RegularFile } from "./open_regular.ts";
import { WrappedExchange } from "./wrapped.ts";

const FIELD = "X-Sendfile";

type Host = Pick<MiddlewareHost, "emit">;

/** Makes the middleware. */
export function sendfile(host: Host): Middleware {
  return (next) => (exchange) => next(new SendfileExchange(exchange, host));
}

class SendfileExchange extends WrappedExchange {
  readonly #host: Host;

  constructor(inner: Exchange, host: Host) {
    super(inner);
    this.#host = host;
  }

  override async respond(head: ResponseHead, body: Body, close?: boolean): Promise<void> {
    const path = head.get(FIELD.toLowerCase());
    if (path === undefined) return await this.inner.respond(head, body, close);
    this.begun = true;
    // Heads are Latin-1, names of files UTF-8.
    const name = new TextDecoder().decode(Uint8Array.from(path, (c) => c.charCodeAt(0)));
    let opened: RegularFile | undefined;
    try {
      opened = await onDisk(() => openRegular(name));
    } catch (error) {
      const status = error instanceof Deno.errors.NotFound ? 404 : 500;
      return await this.#failed(status, name, messageOf(error));
    }
    if (opened === undefined) return await this.#failed(500, name, "it is no regular file");
    const { file, info } = opened;
    try {
      const type = head.get("content-type") ?? typeOf(extensionOf(name));
      const fields: [string, string][] = [["Content-Type", type]];
      const sent = withFields(head, fields, [FIELD, "Content-Length", "Transfer-Encoding"]);
      await this.inner.respond(sent, new FileBody(file, 0, info.size), close);
    } finally {
      file.close();
    }
  }

  async #failed(status: number, path: string, error: string): Promise<void> {
    this.#host.emit("sendfile_failed", { path, error, status });
    await answer(this.inner, status, "the file cannot be sent");
  }
}
