/**
 * `pool` of a worker plugin, as RoadRunner names it, with two keys of ours.
 *
 * Invariant: a value of this type came out of the schema complete; nobody re-checks it.
 */

/** `pool` of a worker plugin: checked, complete. Milliseconds, bytes; 0: none, unless said otherwise. */
export interface PoolSettings {
  debug: boolean;
  num_workers: number;
  /** Requests after which a worker is replaced (up to 14 % more, so that not all go at once). */
  max_jobs: number;
  /** Waiting and executing requests; more are refused at once. */
  max_queue_size: number;
  /** For spawn with handshake, and for waiting for a free worker. */
  allocate_timeout: number;
  reset_timeout: number;
  /** After the cancel of a stream. */
  stream_timeout: number;
  destroy_timeout: number;
  supervisor: {
    watch_tick: number;
    ttl: number;
    idle_ttl: number;
    exec_ttl: number;
    max_worker_memory: number;
  };
  /** Undefined: no scaling. */
  dynamic_allocator?: { max_workers: number; spawn_rate: number; idle_timeout: number };
  /** How many successors may be started beyond the target while rolling; absolute, at least 1. */
  max_surge: number;
  /** A request that every new worker answers before it takes others; only http. */
  warmup?: { path: string };
}
