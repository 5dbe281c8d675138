/**
 * What a worker needs of the pool it lives in.
 *
 * Invariant: types only. Calls come in the turn in which the thing happened; none may throw.
 */

import type { Clock } from "../core/clock.ts";
import type { Manners } from "./manners.ts";
import type { PoolSettings } from "./types.ts";
import type { Worker } from "./worker.ts";

/** Why a worker gave up its place by itself. */
export type Departure =
  /** It has answered `max_jobs` requests. */
  | "max_jobs"
  /** It answered `{"stop":true}`. */
  | "stop"
  | "exec_ttl"
  /** It ended, or its relay did. */
  | "died"
  /** It said what is no answer, or what nobody asked for. */
  | "broken"
  /** It does not read, or does not answer the self-probe. */
  | "deaf"
  /** A streamed answer ended in an error, or did not end. */
  | "stream";

/** What a worker uses. */
export interface Usage {
  rss_bytes: number;
  /** Of one core, since it was looked at last. */
  cpu_percent: number;
}

/** See the file's comment. */
export interface WorkerHome {
  readonly clock: Clock;
  /** Always the newest. */
  readonly settings: PoolSettings;
  /** What is known of all its workers. */
  readonly manners: Manners;
  /** Requests after which a worker goes, for now; 0: none. */
  readonly maxJobs: number;
  /** It may be handed out. */
  offer(worker: Worker): void;
  /** It may not be handed out any more. */
  withdraw(worker: Worker): void;
  /** It has answered its first request. */
  served(worker: Worker): void;
  /** It was given the last request it shall take. */
  lastJob(worker: Worker): void;
  /** Its place is vacant; `departure` says why. */
  parted(worker: Worker): void;
  /** It did something wrong, and goes. `doing`: the request it had. */
  failed(worker: Worker, how: Departure, error: string, doing: string | undefined): void;
  /** Its end begins; it has no request any more. */
  ending(worker: Worker): void;
  /** Nothing of it is left (but what outlived SIGKILL). */
  gone(worker: Worker, survivors: number[]): void;
  /** Its deadline has become this early: look() at it then. */
  due(at: number): void;
}
