/**
 * The `jobs` section of RoadRunner, with keys of ours: its types.
 *
 * Invariant: a value of these types came out of the schema (jobs_section.ts) complete, durations in
 * milliseconds, sizes in bytes, paths absolute; nobody re-checks it.
 */

import type { ScheduleConfig } from "./jobs_schedules.ts";
import type { PoolConfig } from "./pool.ts";

/** `jobs`, checked and complete. */
export interface JobsConfig {
  /** Jobs at workers at a time, for each pool; 0: as many as it has workers, and two. */
  num_pollers: number;
  /** Of a push. */
  timeout: number;
  /** Jobs that are taken and wait for a worker, of all pipelines. */
  pipeline_size: number;
  /** Pipelines that are opened or closed side by side. */
  options: { parallelism: number };
  /** Exactly one of both is there. */
  pool?: PoolConfig;
  pools?: Record<string, PoolConfig>;
  pipelines: Record<string, PipelineConfig>;
  /** Pipelines whose jobs are given to workers from the beginning. */
  consume: string[];
  /** Keys of ours, from here on. */
  drain_timeout: number;
  /** Jobs that are pushed by the clock. */
  schedules: Record<string, ScheduleConfig>;
  /** Where the brokers are, by driver: from their own sections of the file. */
  brokers: Brokers;
}

/** Drivers there are. */
export type DriverName = "memory" | "sqlite" | "redis" | "nats" | "amqp" | "beanstalk";

/** The sections of brokers; each driver knows the type of its own (drivers/<name>.ts). */
export type Brokers = Readonly<Partial<Record<DriverName, unknown>>>;

/** What drivers are opened from; each knows the type of its own. */
export type DriverConfig = object;

/** One of `jobs.pipelines`. */
export interface PipelineConfig {
  driver: DriverName;
  /** One of `jobs.pools`; undefined: the only pool. */
  pool?: string;
  /** Of jobs that bring none. */
  priority: number;
  /** Jobs that are taken and not yet ended. */
  prefetch: number;
  /** What the driver is opened from. */
  config: DriverConfig;
  /** Keys of ours, from here on. Jobs at workers at a time; 0: no limit. */
  parallelism: number;
  /** Undefined: JOB_RETRY, and a requeue that a worker asks for is not counted. */
  retry?: RetryConfig;
  /** Where jobs go that failed for good: another pipeline, or kept. Undefined: see outcome.ts. */
  dead_letter?: { pipeline: string } | "keep";
  /** Jobs that are begun in a time. */
  rate?: { jobs: number; per: number };
  unique?: { window: number };
  /** Longest time for one job, then its worker is killed; 0: none but `exec_ttl`. */
  timeout: number;
}

/** `config` of a pipeline in memory. */
export interface MemoryConfig {
  /** Jobs held, dead ones included; more are refused. */
  max_jobs: number;
  /** Bytes of their payloads. */
  max_size: number;
}

/** `config` of a pipeline in a file. */
export interface SqliteConfig {
  /** Undefined: `jobs.db` in the state directory. */
  file?: string;
  /** Of a file that is made. */
  permissions: number;
}

/** `retry` */
export interface RetryConfig {
  /** Deliveries, the first included. */
  max_attempts: number;
  backoff: number;
  factor: number;
  max_delay: number;
  /** Part of a wait that is drawn, 0 to 1. */
  jitter: number;
}
