/**
 * `http.ssl.redirect`: plain requests are sent to the TLS address, and browsers told to come there by
 * themselves from then on.
 *
 * Invariant: a plain request reaches nothing behind this; Strict-Transport-Security is said over TLS
 * only (RFC 6797, 7.2), and never against what the application says.
 */

import type { SslConfig } from "../../../lib/config/roadrunner/http.ts";
import { answer, type Body, noBody, ResponseHead } from "../../../lib/http/mod.ts";
import { withFields } from "./edit_head.ts";
import type { Middleware } from "./contract.ts";
import { WrappedExchange } from "./wrapped.ts";

const STRICT: [string, string] = ["Strict-Transport-Security", "max-age=31536000"];

/** Makes the middleware. */
export function redirect(ssl: SslConfig): Middleware {
  const { port } = ssl.address;
  const suffix = port === 443 ? "" : `:${port}`;
  return (next) => (exchange) => {
    if (exchange.tls) return next(new StrictExchange(exchange));
    const host = exchange.head.authority.replace(/:\d*$/, "");
    // A target that is no path (`*`) has no place elsewhere; no host, no place at all.
    if (host === "" || !exchange.target.startsWith("/")) {
      return answer(exchange, 400, "this address sends everything to https, and needs a Host");
    }
    const location = `https://${host}${suffix}${exchange.target}`;
    return exchange.respond(ResponseHead.of(308, [["Location", location]]), noBody());
  };
}

class StrictExchange extends WrappedExchange {
  override respond(head: ResponseHead, body: Body, close?: boolean): Promise<void> {
    const said = head.get("strict-transport-security") !== undefined;
    return this.inner.respond(said ? head : withFields(head, [STRICT]), body, close);
  }
}
