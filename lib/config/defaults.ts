/**
 * Every default of the configuration, in the units of config.ts: milliseconds, bytes, counts.
 *
 * Invariant: no other file holds a default; schema, documentation and the filled-in Config are all
 * made from these values.
 */

const KIB = 1024;
const SECOND = 1000;

/** The version of the file format that we write and prefer. */
export const VERSION = "3";

/** `control`: only its owner may talk to the socket. */
export const CONTROL_MODE = 0o600;

/** `proxy`, when the file does not say otherwise. */
export const PROXY = {
  host: "127.0.0.1",
  port: 8182,
  front: "raw",
  drain_timeout: 60 * SECOND,
  force_stop_timeout: 10 * SECOND,
  timeouts: {
    header: 10 * SECOND,
    idle: 75 * SECOND,
    send: 60 * SECOND,
    connect: 5 * SECOND,
    response: 60 * SECOND,
  },
  limits: { header_bytes: 64 * KIB, headers: 200, body: 0 },
  hold: 2 * SECOND,
} as const;

/** Where the proxied process is reached when the proxy listens on every address. */
export const UPSTREAM_HOST = "127.0.0.1";

/** `proxy.health`, and through it the `health` of every process. */
export const HEALTH = {
  path: "/ping",
  timeout: 30 * SECOND,
  interval: 250,
  attempt_timeout: 5 * SECOND,
  start_delay: 0,
} as const;

/** A process, when the file does not say otherwise. */
export const PROCESS = {
  policy: "companion",
  cwd: "{{release_path}}",
  replicas: 1,
  stop_signal: "SIGTERM",
  drain_timeout: 0,
  non_blocking_drain: false,
  deploy_strategy: "persistent",
  output_lines: 50,
} as const;

/** `restart`: try for ever, wait longer each time. */
export const RESTART = {
  delay: 1 * SECOND,
  window: 0,
  backoff_factor: 2,
  max_delay: 30 * SECOND,
} as const;

/** `restart.window` when `max_restarts` is written without one: a limit for a lifetime is a trap. */
export const RESTART_WINDOW_WHEN_LIMITED = 60 * SECOND;

/** `memory`, when it is written. */
export const MEMORY = { warn: 0, check_interval: 5 * SECOND } as const;

/** `events`: what of the journal is on disk. */
export const EVENTS = { max_size: 10 * 1024 * KIB, max_files: 5 } as const;

/** `release_retention`. */
export const RETENTION = { keep: 10, max_age: 0 } as const;

/** RoadRunner's sections keep RoadRunner's defaults; the keys of ours are marked. */
export const SERVER = { relay: "pipes" } as const;

/** `server.on_init`. */
export const ON_INIT = { exec_timeout: 60 * SECOND, exit_on_error: false } as const;

/** `pool` of every worker section. */
export const POOL = {
  debug: false,
  max_jobs: 0,
  max_queue_size: 0,
  allocate_timeout: 60 * SECOND,
  reset_timeout: 60 * SECOND,
  stream_timeout: 60 * SECOND,
  destroy_timeout: 60 * SECOND,
  supervisor: { watch_tick: 5 * SECOND, ttl: 0, idle_ttl: 0, exec_ttl: 0, max_worker_memory: 0 },
  /** Ours. */
  max_surge: "25%",
} as const;

/** `pool.dynamic_allocator`, when it is written. */
export const ALLOCATOR = { max_workers: 10, spawn_rate: 5, idle_timeout: 60 * SECOND } as const;

/** `http`. */
export const HTTP = {
  access_logs: false,
  /** What 0 means, too. */
  max_request_size: 1000 * KIB * KIB,
  raw_body: false,
  trusted_headers: [
    "Forwarded",
    "X-Forwarded-For",
    "X-Real-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
  ],
  ssl: { address: { host: "127.0.0.1", port: 443 }, redirect: false },
  static: { dir: ".", calculate_etag: false, weak: false },
  cors: {
    allowed_origin: "",
    allowed_headers: "",
    allowed_methods: "",
    allow_credentials: false,
    exposed_headers: "",
    max_age: 0,
    options_success_status: 200,
    debug: false,
  },
  /** Ours, from here on. */
  encoding: "json",
  drain_timeout: 60 * SECOND,
  timeouts: { header: 10 * SECOND, idle: 75 * SECOND, send: 60 * SECOND },
  limits: { header_bytes: 64 * KIB, headers: 200 },
} as const;

/** `tcp`, and each of its servers. */
export const TCP = {
  delimiter: "\r\n",
  /** What 0 means, too. */
  read_buf_size: KIB * KIB,
  /** Ours, from here on. */
  drain_timeout: 60 * SECOND,
  idle_timeout: 0,
  send_timeout: 60 * SECOND,
  max_connections: 0,
} as const;

/** `jobs`. */
export const JOBS = {
  num_pollers: 0,
  timeout: 60 * SECOND,
  pipeline_size: 1_000_000,
  options: { parallelism: 10 },
  /** Ours. */
  drain_timeout: 60 * SECOND,
} as const;

/** One of `jobs.pipelines`. */
export const PIPELINE = {
  priority: 10,
  prefetch: 1000,
  /** Ours, from here on. */
  parallelism: 0,
  timeout: 0,
} as const;

/** `jobs.schedules.<name>` */
export const SCHEDULE = { payload: "", missed: "skip" } as const;

/** `config` of a pipeline, by driver. */
export const JOB_DRIVERS = {
  memory: { max_jobs: 1_000_000, max_size: 1024 * KIB * KIB },
  sqlite: { permissions: 0o600 },
  nats: {
    broker: { addr: "nats://127.0.0.1:4222" },
    prefetch: 10,
    stream: "default-stream",
    subject: "default",
    deliver_new: false,
    delete_stream_on_stop: false,
    ack_wait: 30 * SECOND,
  },
  redis: {
    broker: { addr: "127.0.0.1:6379", db: 0 },
    prefetch: 1000,
    prefix: "supervisor:jobs:",
    visibility_timeout: 60 * SECOND,
  },
  beanstalk: {
    broker: { addr: "tcp://127.0.0.1:11300", timeout: 30 * SECOND },
    prefetch: 1000,
    tube: "default",
    reserve_timeout: 5 * SECOND,
  },
  amqp: {
    broker: { addr: "amqp://guest:guest@127.0.0.1:5672/" },
    prefetch: 10,
    exchange: {
      name: "amqp.default",
      type: "direct",
      durable: false,
      auto_delete: false,
      declare: true,
    },
    queue: {
      durable: false,
      auto_delete: false,
      exclusive: false,
      delete_on_stop: false,
      requeue_on_fail: false,
      declare: true,
    },
  },
} as const;

/** `retry` of a pipeline; also in force where none is written. */
export const JOB_RETRY = {
  max_attempts: 5,
  backoff: 1 * SECOND,
  factor: 2,
  max_delay: 60 * SECOND,
  jitter: 0,
} as const;

/** `rpc`. */
export const RPC = { listen: "tcp://127.0.0.1:6001" } as const;

/** `status`. */
export const STATUS = { unavailable_status_code: 503, check_timeout: 60 * SECOND } as const;

/** `metrics`. */
export const METRICS = { address: { host: "127.0.0.1", port: 2112 } } as const;

/** `logs`, when it is written. */
export const LOGS = { mode: "development", output: "stderr" } as const;

/** One entry of `service`. */
export const SERVICE = {
  process_num: 1,
  exec_timeout: 0,
  remain_after_exit: false,
  restart_sec: 30 * SECOND,
  timeout_stop_sec: 5 * SECOND,
  service_name_in_log: false,
} as const;

/** Longest wait: what fits the system's timers. */
export const MAX_WAIT = 24 * 24 * 3600 * SECOND;

/** Longest age, of what is compared and not waited for: ten years. */
export const MAX_AGE = 3650 * 24 * 3600 * SECOND;
