/**
 * `pool` of a worker plugin, as RoadRunner names it, with two keys of ours.
 *
 * Invariant: a value of this type came out of the schema complete; nobody re-checks it.
 */

import type * as z from "zod";
import { ALLOCATOR, MAX_AGE, POOL } from "../defaults.ts";
import { Refusal } from "../names.ts";
import { count, duration, flag, read, section } from "../schema/fields.ts";
import { readPath } from "../schema/health.ts";
import { command, megabytes } from "./fields.ts";

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

/** A pool with its own command. */
export type PoolConfig = PoolSettings & { command?: string | string[] };

/** Workers of one pool. */
const MAX_WORKERS = 500;
/** Extra workers, and workers started at a time, as RoadRunner caps them. */
const MAX_EXTRA = 100;
/** RoadRunner reads a shorter one as the default. */
const SHORTEST_IDLE = 1000;

const limits = section("Limits that are looked at from time to time, and on each request.", {
  watch_tick: duration("Time between two looks.", { default: POOL.supervisor.watch_tick })
    .optional(),
  ttl: duration("Age after which a worker is replaced, between requests. 0: none.", {
    default: POOL.supervisor.ttl,
    example: "1h",
    max: MAX_AGE,
  }).optional(),
  idle_ttl: duration("Time without a request after which a worker is replaced. 0: none.", {
    default: POOL.supervisor.idle_ttl,
    example: "10m",
    max: MAX_AGE,
  }).optional(),
  exec_ttl: duration("Longest time for one request; then its worker is killed. 0: none.", {
    default: POOL.supervisor.exec_ttl,
    example: "60s",
  }).optional(),
  max_worker_memory: megabytes(
    "Resident memory above which a worker is replaced, between requests: megabytes, or a size. 0: none.",
    { default: POOL.supervisor.max_worker_memory, example: "128" },
  ).optional(),
});

const allocator = section("More workers while requests wait.", {
  max_workers: count("Workers beyond `num_workers`.", {
    default: ALLOCATOR.max_workers,
    min: 1,
    max: MAX_EXTRA,
  }).optional(),
  spawn_rate: count("Workers started at a time.", {
    default: ALLOCATOR.spawn_rate,
    min: 1,
    max: MAX_EXTRA,
  }).optional(),
  idle_timeout: duration("Time without demand after which they go again.", {
    default: ALLOCATOR.idle_timeout,
  }).optional(),
});

const keys = {
  debug: flag("A fresh worker for each request, to see changed code at once.", {
    default: POOL.debug,
  }).optional(),
  command: command("What this pool's workers run. May use templates.", {
    defaultFrom: "`server.command`",
    example: "php worker.php",
  }).optional(),
  num_workers: count("Workers.", {
    defaultFrom: "the number of logical processors, also for 0",
    example: 4,
    min: 0,
    max: MAX_WORKERS,
  }).optional(),
  max_jobs: count("Requests after which a worker is replaced. 0: none.", {
    default: POOL.max_jobs,
    min: 0,
    max: 1_000_000_000,
  }).optional(),
  max_queue_size: count("Requests waiting and executing; more are refused at once. 0: no limit.", {
    default: POOL.max_queue_size,
    min: 0,
    max: 1_000_000_000,
  }).optional(),
  allocate_timeout: duration(
    "Longest time for starting a worker, and for a request to wait for a free one.",
    { default: POOL.allocate_timeout },
  ).optional(),
  reset_timeout: duration("Longest time a reset waits for a busy worker.", {
    default: POOL.reset_timeout,
  }).optional(),
  stream_timeout: duration("Longest time for a stream to end after its client left.", {
    default: POOL.stream_timeout,
  }).optional(),
  destroy_timeout: duration("Longest time for busy workers to finish when the pool ends.", {
    default: POOL.destroy_timeout,
  }).optional(),
  supervisor: limits.optional(),
  dynamic_allocator: allocator.optional(),
  max_surge: read(
    "number or percentage",
    readSurge,
    "Workers started beyond the target while a pool is rolled; at least 1. (Not RoadRunner's.)",
    { default: POOL.max_surge },
  ).optional(),
};

const warmup = section(
  "A request that each new worker answers before it takes others. (Not RoadRunner's.)",
  {
    path: read(
      "path",
      readPath,
      "Path that is asked for; a status of 500 or more is a failed start.",
      {
        example: "/ping",
      },
    ),
  },
);

/** `pool` of a section whose workers take no warm-up request. */
export const poolSchema = section("The workers.", keys);
/** `http.pool`. */
export const httpPoolSchema = section("The workers.", { ...keys, warmup: warmup.optional() });

/** What the schemas leave. */
export type PoolValues = z.output<typeof httpPoolSchema>;

/** A number of workers, or a part of them. */
type Surge = number | { percent: number };

function readSurge(text: string): Surge | Refusal {
  const match = /^\s*(\d{1,3})\s*(%?)\s*$/.exec(text);
  const amount = Number(match?.[1]);
  const got = JSON.stringify(text);
  if (match === null) {
    return new Refusal(`must be a number or a percentage, got ${got}`, "write 2 or 25%");
  }
  if (amount < 1) return new Refusal(`must be at least 1, got ${got}`, "write 1 or more");
  if (match[2] === "") return amount;
  return amount <= 100
    ? { percent: amount }
    : new Refusal(`must be at most 100%, got ${got}`, "write 100%");
}

/** A whole pool: every default filled in; for timeouts, 0 means the default, as in RoadRunner. */
export function completePool(values: PoolValues, cores: number): PoolConfig {
  const { supervisor, dynamic_allocator, warmup, max_surge, ...rest } = values;
  const { max_surge: standardSurge, ...standard } = POOL;
  const num_workers = values.num_workers || cores;
  const surge = max_surge ?? readSurge(standardSurge) as Surge;
  return {
    ...standard,
    ...rest,
    num_workers,
    allocate_timeout: values.allocate_timeout || POOL.allocate_timeout,
    reset_timeout: values.reset_timeout || POOL.reset_timeout,
    stream_timeout: values.stream_timeout || POOL.stream_timeout,
    destroy_timeout: values.destroy_timeout || POOL.destroy_timeout,
    supervisor: {
      ...POOL.supervisor,
      ...supervisor,
      watch_tick: supervisor?.watch_tick || POOL.supervisor.watch_tick,
    },
    dynamic_allocator: dynamic_allocator && completeAllocator(dynamic_allocator),
    max_surge: typeof surge === "number"
      ? surge
      : Math.max(1, Math.floor(num_workers * surge.percent / 100)),
    warmup,
  };
}

function completeAllocator(values: z.output<typeof allocator>) {
  const { idle_timeout = ALLOCATOR.idle_timeout } = values;
  return {
    ...ALLOCATOR,
    ...values,
    idle_timeout: idle_timeout < SHORTEST_IDLE ? ALLOCATOR.idle_timeout : idle_timeout,
  };
}
