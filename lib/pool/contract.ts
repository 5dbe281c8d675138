/**
 * What a pool of workers does for whoever feeds it. `pool.ts` implements it; plugins and tests name
 * only this.
 *
 * Invariant: see pool.ts. The conservation law `idle + busy + starting + stopping` = slots holds at
 * every moment.
 */

import type { PoolCall, PoolRequest, PoolSettings, PoolSnapshot, WorkerSnapshot } from "./types.ts";

/** N workers and a queue. */
export interface WorkerPool {
  readonly plugin: string;
  readonly name: string;
  readonly release: string;

  /**
   * Starts all workers side by side; resolves when every one has shaken hands (and warmed up).
   * @throws Failure with argv, cwd, user, exit, elapsed, last stderr, stray stdout, one fix; nothing
   *   of the pool is left then
   */
  start(signal: AbortSignal): Promise<void>;

  /** Sends a request to the next free worker. Synchronous; the answer comes through the call. */
  call(request: PoolRequest): PoolCall;

  /**
   * Rolls: every worker is replaced, new ready before old goes, at most `max_surge` more than the
   * target at a time. A second caller joins the roll that is on. Busy workers finish first.
   * @param rested called when those who were not busy at its beginning are replaced: whoever asks from
   *   inside a request must not wait for more, or it waits for itself
   * @returns how many were replaced
   * @throws Failure when a successor does not come up; the workers not yet replaced stay
   */
  reset(signal: AbortSignal, rested?: () => void): Promise<number>;

  /** Another number of workers: grows proven, shrinks idle ones first. @throws Failure */
  resize(count: number, signal: AbortSignal): Promise<void>;

  /** New limits; takes effect with the next tick or request. */
  update(settings: PoolSettings): void;

  /** From now on nobody new is started: what dies stays dead (a retired generation). */
  quiesce(): void;

  /**
   * Stops every worker (stop frame, SIGTERM, SIGKILL) and refuses what still waits. Busy workers get
   * `destroy_timeout` to finish. Callers share one end.
   * @returns pids that outlived SIGKILL
   */
  destroy(): Promise<number[]>;

  /** Shortens a destroy that is on or comes: everything over in `ms`. 0 kills at once. */
  hurry(ms: number): void;

  /** Workers that are `ready` or `working` now. */
  readonly alive: number;
  /** Called whenever readiness may have changed. @returns takes it back */
  onChange(listener: () => void): () => void;

  snapshot(): PoolSnapshot;
  workers(): WorkerSnapshot[];
}
