/** Opens a front of either kind; see front.ts for what a front is. */

import type { Handler } from "./exchange.ts";
import type { Front, FrontHost, FrontKind, FrontOptions, Place } from "./front.ts";
import { RawFront } from "./front_raw.ts";
import { ServeFront } from "./front_serve.ts";

/**
 * Opens a front.
 *
 * @param place a bound listener, which the front owns from now on (`serve` closes it and binds its
 *   address again), or an address to bind
 * @throws what `Deno.listen` throws when the address cannot be bound
 */
export function openFront(
  kind: FrontKind,
  place: Place,
  handler: Handler,
  options: FrontOptions,
  host: FrontHost,
): Front {
  if (kind === "serve") return new ServeFront(place, handler, options, host);
  return new RawFront(listen(place), handler, options, host);
}

function listen(place: Place): Deno.Listener {
  if ("accept" in place) return place;
  if ("path" in place) return Deno.listen({ transport: "unix", path: place.path });
  const { hostname, port, tls } = place;
  if (tls === undefined) return Deno.listen({ hostname, port });
  return Deno.listenTls({ hostname, port, ...tls, alpnProtocols: ["http/1.1"] });
}
