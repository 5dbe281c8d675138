/**
 * How changes of RoadRunner's smaller sections take effect.
 *
 * Invariant: as in ../compare.ts: no difference is passed over.
 */

import { differences } from "../compare.ts";
import type { Change } from "../config.ts";

/** A section with an address of its own: that is a new listener, the rest applies live. */
export function compareAddressed(name: string, old: unknown, next: unknown): Change[] {
  const address = `${name}.address`;
  return differences(
    name,
    old,
    next,
    (field) => field === name || field === address ? "listener" : "live",
    (field) => field === address,
  );
}
