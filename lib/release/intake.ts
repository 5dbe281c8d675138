/**
 * The contract between the daemon and everything that takes work in: the stable side of a release
 * swap. Forwarding, http workers, tcp and jobs each implement it.
 *
 * Invariant: `swap` is synchronous and cannot fail; everything that can fail happens in `build`.
 */

import type { Config } from "../config/config.ts";
import type { Draining } from "../core/gate.ts";
import type { UpstreamSet } from "../http/mod.ts";
import type { WorkerPool } from "../pool/contract.ts";

/** What a generation is built from. */
export interface ReleaseContext {
  /** Unique within the daemon, e.g. `v1` or `v1~2`. */
  readonly release_id: string;
  /** The resolved real path of the release. */
  readonly release_path: string;
  readonly revision: string;
  /** What it is built from: the configuration that is in force once it is live. */
  readonly config: Config;
  /** Ports of its processes by id, for templates. */
  readonly ports: ReadonlyMap<string, number>;
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
  /** Where it takes work in, for people: `127.0.0.1:8182`, `pipeline mail`; "" when nowhere. */
  address: string;
  state: "open" | "draining" | "closed";
  /** Client connections now, and requests taken so far; for intakes that have such. */
  connections?: number;
  requests?: number;
  /** What it needs of others and cannot reach now; missing: nothing. */
  unreachable?: Unreachable[];
}

/** Something outside that cannot be reached; it is tried again by itself. */
export interface Unreachable {
  /** What needs it: `pipeline mail (redis)`. */
  name: string;
  error: string;
  /** ISO 8601, UTC. */
  next_try_at?: string;
}

/** An address that is bound but not yet the one in use. */
export interface Rebinding {
  /** Makes it the one in use and lets the old one drain. Synchronous. */
  commit(): void;
  /** Lets it go again. */
  undo(): void;
}

/** The stable side: a listener or a consumer with its gate. `G`: its generations. */
export interface Intake<G> extends AsyncDisposable {
  readonly name: string;
  /** Makes the stable side ready. @throws Failure (port in use, no permission …). */
  start(): Promise<void>;
  /**
   * Binds what `next` names and the configuration in force does not; nothing is in use before
   * commit(). Undefined: there is nothing to bind.
   * @throws Failure when it cannot be bound, or cannot change while the daemon runs
   */
  rebind(next: Config): Rebinding | undefined | Promise<Rebinding | undefined>;
  /** Takes on newer settings that apply live. Synchronous, cannot fail. */
  configure(next: Config): void;
  /** A started and proven generation, not yet live. @throws Failure; nothing of it is left then. */
  build(release: ReleaseContext, signal: AbortSignal): Promise<G>;
  /** Makes a proven generation live (undefined: none). Synchronous. */
  swap(next: G | undefined): Draining;
  /** Takes a drained generation apart. */
  drop(generation: G): Promise<void>;
  /** No new work; finish the rest within `ms` milliseconds, then cut it. */
  drain(ms: number): Promise<Drained>;
  /** Ends what is held now. */
  cut(): void;
  /** How long the work of a retired generation may take, in milliseconds (config in force). */
  drainBudget(): number;
  /** The worker pools of a generation; none for intakes without workers. */
  pools(generation: G): readonly WorkerPool[];
  snapshot(): IntakeSnapshot;
}
