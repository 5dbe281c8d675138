/**
 * The contract between the daemon and everything that takes work in: the stable side of a release
 * swap. Forwarding, http workers, tcp and jobs each implement it.
 *
 * Invariant: `swap` is synchronous and cannot fail; everything that can fail happens in `build`.
 */

import type { Draining } from "../core/gate.ts";
import type { UpstreamSet } from "../http/mod.ts";

/** What a generation is built from. */
export interface ReleaseContext {
  /** Unique within the daemon, e.g. `v1` or `v1~2`. */
  readonly release_id: string;
  /** The resolved real path of the release. */
  readonly release_path: string;
  readonly revision: string;
  /** Its programs that listen on a port themselves; complete once they are proven. */
  readonly upstreams: UpstreamSet;
  /** Whether an upstream that is not ready may come back by itself. */
  readonly hopeful: boolean;
  /** Called whenever an upstream became ready or unready, or hope changed. */
  onReadiness: (() => void) | undefined;
}

/** How a drain ended. */
export interface Drained {
  /** Work that was cut at the deadline. */
  cut: number;
}

/** What status and metrics may know about an intake; a pure read. */
export interface IntakeSnapshot {
  name: string;
  /** Where it takes work in, for people: `127.0.0.1:8182`, `pipeline mail`. */
  address: string;
  state: "open" | "draining" | "closed";
}

/** The stable side: a listener or a consumer with its gate. `G`: its generations. */
export interface Intake<G> extends AsyncDisposable {
  readonly name: string;
  /** Makes the stable side ready. @throws Failure (port in use, no permission …). */
  start(): Promise<void>;
  /** A started and proven generation, not yet live. @throws Failure; nothing of it is left then. */
  build(release: ReleaseContext, signal: AbortSignal): Promise<G>;
  /** Makes a proven generation live (undefined: none). Synchronous. */
  swap(next: G | undefined): Draining;
  /** Takes a drained generation apart. */
  drop(generation: G): Promise<void>;
  /** No new work; finish the rest within `ms` milliseconds, then cut it. */
  drain(ms: number): Promise<Drained>;
  snapshot(): IntakeSnapshot;
}
