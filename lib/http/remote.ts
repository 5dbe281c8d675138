/** The address of a client as programs know addresses. */

import type { ClientAddress } from "./exchange.ts";

const MAPPED = "::ffff:";

/**
 * The address without port: an IPv4 client of a dual-stack listener by its IPv4 address, one that came
 * through a Unix socket as this machine.
 */
export function remoteOf({ address }: ClientAddress): string {
  if (address === "") return "127.0.0.1";
  const isMapped = address.startsWith(MAPPED) && address.includes(".");
  return isMapped ? address.slice(MAPPED.length) : address;
}
