/**
 * What the floors above see of releases: records, status, progress and results. Plain data in
 * snake_case, because it is what `--json` prints and what the state file holds.
 *
 * Invariant: types only.
 */

import type { PoolSnapshot } from "../pool/types.ts";
import type { ProcessSnapshot } from "../process/types.ts";

/** Where a release is in its life. */
export type ReleaseState = "starting" | "active" | "draining" | "stopping" | "stopped" | "failed";

/** What is remembered of a release, also after its processes are gone and in the state file. */
export interface ReleaseRecord {
  release_id: string;
  /** Id of the deploy that brought this code; a generation made by reload keeps it. */
  lineage: string;
  release_path: string;
  revision: string;
  state: ReleaseState;
  /** ISO 8601 UTC, as all stamps here. */
  started_at: string;
  activated_at?: string;
  drain_started_at?: string;
  stopped_at?: string;
}

/** One release in status. */
export interface ReleaseStatus extends Omit<ReleaseRecord, "lineage"> {
  /** Requests and tunnels in flight. */
  connection_count: number;
  connections: { http: number; websocket: number };
  /** Leases held on its gates. */
  leases: number;
  /** Milliseconds until the drain is cut. */
  drain_left_ms?: number;
  ports: Record<string, number>;
  processes: ProcessSnapshot[];
  pools: PoolSnapshot[];
}

/** A step of a deploy as it happens. */
export interface Progress {
  type: "progress";
  /** Milliseconds since the deploy was asked for. */
  ms: number;
  step:
    | "queued"
    | "started"
    | "building"
    | "proving"
    | "live"
    | "singletons"
    | "draining"
    | "drained";
  /** For people: `web is up on port 18182 (0.4 s)`. */
  message: string;
}

/** How a deploy or rollback ended well (or live with errors: `errors` not empty, exit code 6). */
export interface DeployResult {
  status: "success" | "partial";
  active_release_id: string;
  previous_release_id: string | null;
  release_path: string;
  revision: string;
  /** From the request to live. */
  ms: number;
  /** What failed after the switch, one sentence each. */
  errors: string[];
  /** Set when `wait` was asked for. */
  drained?: boolean;
}
