/**
 * Middleware `gzip`: answers are compressed on their way.
 *
 * Invariants: only what the client accepts, is worth it and may be changed is compressed; each window
 * leaves at once, so streams stay live; an answer that could have been compressed says so in Vary.
 */

import { type Body, type Exchange, type ResponseHead } from "../../../lib/http/mod.ts";
import { withFields, withVary } from "./edit_head.ts";
import { GzipBody } from "./gzip_body.ts";
import type { Middleware } from "./contract.ts";
import { WrappedExchange } from "./wrapped.ts";

/** Bodies known to be smaller do not get smaller by it. */
const LEAST = 1024;

/** Types that get smaller, besides all of text. */
const TYPES = new Set([
  "application/javascript",
  "application/json",
  "application/ld+json",
  "application/manifest+json",
  "application/rtf",
  "application/wasm",
  "application/x-javascript",
  "application/x-ndjson",
  "application/xhtml+xml",
  "application/xml",
  "font/otf",
  "font/ttf",
  "image/bmp",
  "image/svg+xml",
  "image/x-icon",
]);

/** Makes the middleware. */
export function gzip(): Middleware {
  return (next) => (exchange) => next(new GzipExchange(exchange));
}

class GzipExchange extends WrappedExchange {
  override async respond(head: ResponseHead, body: Body, close?: boolean): Promise<void> {
    if (!isWorthIt(head, body)) return await this.inner.respond(head, body, close);
    const vary = withVary(head, "Accept-Encoding");
    if (!acceptsGzip(this.inner)) {
      return await this.inner.respond(withFields(head, [vary]), body, close);
    }
    const etag = head.get("etag");
    const changed: [string, string][] = [vary, ["Content-Encoding", "gzip"]];
    if (etag?.startsWith('"')) changed.push(["ETag", `W/${etag}`]);
    const packed = withFields(head, changed, ["Content-Length", "Accept-Ranges"]);
    this.begun = true;
    // The module is a large one: it is loaded by the first answer that needs it.
    const zlib = await import("node:zlib");
    await this.inner.respond(packed, new GzipBody(body, zlib), close);
  }
}

function isWorthIt(head: ResponseHead, body: Body): boolean {
  const { status } = head;
  if (status === 204 || status === 206 || status === 304) return false;
  const length = Math.max(body.length, head.contentLength);
  if (length >= 0 && length < LEAST) return false;
  if (head.get("content-encoding") !== undefined) return false;
  if (head.get("cache-control")?.toLowerCase().includes("no-transform")) return false;
  const type = head.get("content-type")?.split(";")[0].trim().toLowerCase() ?? "";
  return type.startsWith("text/") || type.endsWith("+json") || type.endsWith("+xml") ||
    TYPES.has(type);
}

/** Whether `Accept-Encoding` allows gzip: by its name, else by `*`, unless with `q=0`. */
function acceptsGzip({ head }: Exchange): boolean {
  let any = false;
  for (const [name, value] of head.entries()) {
    if (name.toLowerCase() !== "accept-encoding") continue;
    for (const part of value.split(",")) {
      const [coding, ...parameters] = part.split(";").map((one) => one.trim().toLowerCase());
      const accepted = !parameters.some((one) => /^q=0(\.0*)?$/.test(one));
      if (coding === "gzip" || coding === "x-gzip") return accepted;
      if (coding === "*") any = accepted;
    }
  }
  return any;
}
