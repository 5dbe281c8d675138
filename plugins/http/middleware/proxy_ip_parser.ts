/**
 * Middleware `proxy_ip_parser`: the client's address as a trusted proxy tells it.
 *
 * The first of the trusted headers that is there decides. In a list of addresses the last one that is
 * no trusted proxy's is the client's: what stands before it the client may have written itself.
 *
 * Invariant: a peer that is not in the trusted subnets changes nothing, and text that is no address
 * does neither.
 */

import type { HttpConfig } from "../../../lib/config/roadrunner/http.ts";
import { type ClientAddress, type Exchange, Networks, remoteOf } from "../../../lib/http/mod.ts";
import { parseAddress } from "../../../lib/http/networks.ts";
import type { Middleware } from "./contract.ts";
import { WrappedExchange } from "./wrapped.ts";

/** Makes the middleware. */
export function proxyIpParser(
  config: Pick<HttpConfig, "trusted_subnets" | "trusted_headers">,
): Middleware {
  const trusted = Networks.parse(config.trusted_subnets);
  return (next) => (exchange) => {
    if (!trusted.has(remoteOf(exchange.client))) return next(exchange);
    const address = toldAddress(exchange, config.trusted_headers, trusted);
    return next(address === undefined ? exchange : new ToldExchange(exchange, address));
  };
}

/** A request of a client behind a proxy. */
class ToldExchange extends WrappedExchange {
  readonly #client: ClientAddress;

  constructor(inner: Exchange, address: string) {
    super(inner);
    this.#client = { address, port: 0 };
  }

  override get client(): ClientAddress {
    return this.#client;
  }
}

function toldAddress(
  { head }: Exchange,
  names: readonly string[],
  trusted: Networks,
): string | undefined {
  for (const name of names) {
    const wanted = name.toLowerCase();
    const values = head.entries().filter(([key]) => key.toLowerCase() === wanted)
      .flatMap(([, value]) => value.split(","));
    if (values.length === 0) continue;
    const addresses = values.map((value) => wanted === "forwarded" ? forOf(value) : bare(value));
    return clientOf(addresses, trusted);
  }
}

/** From the nearest proxy backwards, as long as what is told can be believed. */
function clientOf(
  addresses: readonly (string | undefined)[],
  trusted: Networks,
): string | undefined {
  let client: string | undefined;
  for (const address of addresses.toReversed()) {
    if (address === undefined) return client;
    client = address;
    if (!trusted.has(address)) return client;
  }
  return client;
}

/** The `for` of one element of Forwarded (RFC 7239). */
function forOf(element: string): string | undefined {
  const match = /(?:^|;)\s*for\s*=\s*("[^"]*"|[^;\s]+)/i.exec(element);
  return match === null ? undefined : bare(match[1].replaceAll('"', ""));
}

/** An address without brackets and port; undefined when it is none. */
function bare(text: string): string | undefined {
  const value = text.trim();
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(value)?.[1];
  const address = bracketed ?? (/^[^:]+:\d+$/.test(value) ? value.replace(/:\d+$/, "") : value);
  return parseAddress(address) === undefined ? undefined : address;
}
