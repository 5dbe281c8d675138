/** Opens a front of either kind; see front.ts for what a front is. */

import { Failure } from "../core/failure.ts";
import type { Handler } from "./exchange.ts";
import type { Front, FrontHost, FrontKind, FrontOptions, Place } from "./front.ts";
import { RawFront } from "./front_raw.ts";
import { ServeFront } from "./front_serve.ts";
import { listen } from "./listen.ts";

/**
 * Opens a front.
 *
 * @param place a bound listener, which the front owns from now on (`serve` closes it and binds its
 *   address again), or an address to bind
 * @throws Failure, or what `Deno.listen` throws when the address cannot be bound
 */
export function openFront(
  kind: FrontKind,
  place: Place,
  handler: Handler,
  options: FrontOptions,
  host: FrontHost,
): Front {
  if (kind === "raw") return new RawFront(listen(place, ["http/1.1"]), handler, options, host);
  if ("path" in place || "tls" in place && place.tls !== undefined) {
    throw new Failure("the serve front speaks plain HTTP on TCP addresses only", {
      fix: "use the raw front for TLS and Unix sockets",
    });
  }
  return new ServeFront(place, handler, options, host);
}
