/**
 * The program that gets the requests, for formats that know programs but no proxy: what it needs here
 * to be replaced without losing a request.
 *
 * Invariant: at most one process is proxied, which is what the configuration allows.
 */

import type { Draft, Draught } from "./draft.ts";

/** A process that gets the requests; its program has to listen on PORT. */
export function proxied({ command, ...rest }: Draft): Draft {
  return { policy: "proxied", command, port: 0, health: { tcp: true }, ...rest };
}

/** The variable by which such a program learns its port. */
export const PORT = "{{port}}";

/** Says what one has to know about it. */
export function tellProxied(draught: Draught, id: string, from: string): void {
  draught.note(
    ["processes", id],
    from,
    "gets the requests through the proxy. It must listen on the port in PORT: two releases run side " +
      "by side during a deploy. Better than `tcp` is `health: { path: /ping }`, a path that answers " +
      "with 2xx when it is ready",
  );
}
