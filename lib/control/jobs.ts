/**
 * What can be asked of the pipelines of jobs, by operators: the arguments and answers of `/v1/jobs…`.
 *
 * Invariant: plain data in snake_case only, as in operations.ts; a payload is text where it is UTF-8
 * and base64 where it is not, and never longer than was asked for.
 */

/** Longest payload that can be pushed this way, bytes. */
export const MAX_PUSHED = 8 * 1024 * 1024;

/** Longest body of a push, bytes: such a payload as base64, and everything else. */
export const MAX_PUSH_BODY = 12 * 1024 * 1024;

/** Bytes of a payload that are shown when nothing else is said. */
export const SHOWN_PAYLOAD = 4096;

/** `GET /v1/jobs?pipeline=NAME` */
export interface PipelinesQuery {
  pipeline?: string;
}

/** A pipeline as it is now. A number is null when its driver does not know it, or does not answer. */
export interface PipelineStatus {
  pipeline: string;
  driver: string;
  /** The worker pool that works for it. */
  pool: string;
  /** Its jobs are given to workers (while a release is live). */
  consuming: boolean;
  /** Its driver can be reached. */
  ready: boolean;
  /** Why not, or why it does not tell its numbers. */
  error?: string;
  next_try_at?: string;
  priority: number;
  /** By a client; it is gone when the daemon ends. */
  declared: boolean;
  /** Due, and not running. */
  waiting: number | null;
  /** Not due yet. */
  delayed: number | null;
  /** Taken out of the driver and not ended; most of them wait for a worker. */
  reserved: number | null;
  /** Dead letters that are kept. */
  dead: number | null;
  /** At workers of this daemon, or next in line for one (`num_pollers`). */
  running: number;
  /** Since the daemon came up. */
  counts: {
    pushed: number;
    refused: number;
    delivered: number;
    done: number;
    failed: number;
    requeued: number;
    dead: number;
    dropped: number;
  };
}

/** A schedule of the configuration. */
export interface ScheduleStatus {
  schedule: string;
  cron: string;
  /** Missing: the machine's. */
  timezone?: string;
  pipeline: string;
  job: string;
  /** Null: a run is under way, or none is to come. */
  next_run_at: string | null;
  /** The last that was pushed by this daemon. */
  last_run_at: string | null;
  /** Why the last try failed. */
  error?: string;
}

/** Those of the configuration, then those that were declared. */
export interface Pipelines {
  pipelines: PipelineStatus[];
  schedules: ScheduleStatus[];
}

/** `POST /v1/jobs/push` */
export interface PushRequest {
  pipeline: string;
  /** What is to be done. */
  job: string;
  /** As text; missing, and no base64 either: empty. */
  payload?: string;
  payload_base64?: string;
  /** Values by name. */
  headers?: Record<string, string[]>;
  /** Milliseconds from now. */
  delay_ms?: number;
  /** Missing: the pipeline's. */
  priority?: number;
  /** Missing: a new one is made. */
  id?: string;
  /** Deduplication key. */
  unique?: string;
  auto_ack?: boolean;
}

export interface PushResult {
  status: "success";
  pipeline: string;
  id: string;
}

/** `POST /v1/jobs/pause`, `/v1/jobs/resume` */
export interface FlowRequest {
  pipeline: string;
}

export interface FlowResult {
  status: "success";
  pipeline: string;
  consuming: boolean;
  /** False: it was so before. */
  changed: boolean;
}

/** `GET /v1/jobs/dead?pipeline=NAME&lines=N&after=ID` */
export interface DeadQuery {
  pipeline: string;
  lines?: number;
  /** Only those after the one with this id. */
  after?: string;
}

/** A job that was given up, and is kept. */
export interface DeadLetter {
  id: string;
  job: string;
  attempts: number;
  error: string;
  died_at: string;
  priority: number;
  headers: Record<string, readonly string[]>;
  payload_bytes: number;
}

/** Oldest first. */
export interface DeadLetters {
  pipeline: string;
  letters: DeadLetter[];
  /** There are later ones. */
  more: boolean;
}

/** `GET /v1/jobs/dead/letter?pipeline=NAME&id=ID&bytes=N` */
export interface LetterQuery {
  pipeline: string;
  id: string;
  /** Most bytes of the payload. */
  bytes?: number;
}

/** One dead letter with the beginning of its payload. */
export interface Letter extends DeadLetter {
  pipeline: string;
  /** When it is text. */
  payload?: string;
  /** When it is not. */
  payload_base64?: string;
  /** The payload is longer than what is here. */
  payload_cut: boolean;
}

/** `POST /v1/jobs/retry`, `/v1/jobs/drop`: one, or all of a pipeline. */
export interface LettersRequest {
  /** May be missing with `id`, when only one pipeline has a dead letter of that id. */
  pipeline?: string;
  id?: string;
  all?: boolean;
}

export interface LettersResult {
  status: "success";
  pipeline: string;
  /** Dead letters that are none any more. */
  count: number;
}

/** The pipelines, as commands see them. Every method may throw Failure. */
export interface JobsOperations {
  pipelines(query: PipelinesQuery): Promise<Pipelines>;
  push(request: PushRequest): Promise<PushResult>;
  pause(request: FlowRequest): Promise<FlowResult>;
  resume(request: FlowRequest): Promise<FlowResult>;
  dead(query: DeadQuery): Promise<DeadLetters>;
  letter(query: LetterQuery): Promise<Letter>;
  retry(request: LettersRequest): Promise<LettersResult>;
  drop(request: LettersRequest): Promise<LettersResult>;
}
