/**
 * Workers for queued jobs.
 *
 * | the handler                    | the job                                       |
 * | ------------------------------ | --------------------------------------------- |
 * | returns                        | is done                                       |
 * | throws                         | has failed, with the error's text             |
 * | called `ack`, `nack`, `requeue`| as it said; what it throws then is only told  |
 * | throws `ReplaceWorker`         | goes to another worker                        |
 *
 * Invariant: one answer for each job, sent when the handler is done with it.
 */

import { run, type WorkerOptions } from "./run.ts";
import { ReplaceWorker, textOf, type Turn } from "./turn.ts";

/** Values of a job's header. */
export type JobHeaders = Record<string, string[]>;

/** What may be said when a job is not done. */
export interface NackOptions {
  /** Offer it again; otherwise the queue decides what becomes of it. */
  requeue?: boolean;
  /** Whole seconds before it is offered again. */
  delay?: number;
}

/** What may be said when a job shall come again. */
export interface RequeueOptions {
  /** Whole seconds before it is offered again. */
  delay?: number;
  /** Laid over the headers it has. */
  headers?: Record<string, string | string[]>;
}

/** Answers a job. */
export type JobHandler = (job: Job) => unknown;

const SUCCESS = 0;
const ERROR = 1;
const ACK = 2;
const NACK = 3;
const REQUEUE = 4;
const NOTHING = new Uint8Array(0);

/** The context of a job on the wire. */
interface JobContext {
  id: string;
  job: string;
  driver: string;
  pipeline: string;
  queue?: string;
  headers?: JobHeaders | null;
}

interface Outcome {
  type: number;
  data: unknown;
}

/** A job. */
export class Job {
  readonly id: string;
  /** What is to be done; `job` where it was pushed. */
  readonly name: string;
  readonly driver: string;
  readonly pipeline: string;
  readonly queue: string;
  readonly headers: JobHeaders;
  readonly payload: Uint8Array;
  #outcome: Outcome | undefined;

  constructor(context: JobContext, payload: Uint8Array) {
    this.id = context.id;
    this.name = context.job;
    this.driver = context.driver;
    this.pipeline = context.pipeline;
    this.queue = context.queue ?? context.pipeline;
    // PHP writes an empty map as a list.
    this.headers = Array.isArray(context.headers) ? {} : context.headers ?? {};
    this.payload = payload;
  }

  /** The payload as text. */
  text(): string {
    return new TextDecoder().decode(this.payload);
  }

  /** The payload as JSON. @throws SyntaxError */
  // deno-lint-ignore no-explicit-any -- as Request.json()
  json(): any {
    return JSON.parse(this.text());
  }

  /** What the handler said; undefined when it said nothing. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** It is done. */
  ack(): void {
    this.#decide({ type: ACK, data: [] });
  }

  /** It is not done. */
  nack(message = "", { requeue = false, delay = 0 }: NackOptions = {}): void {
    this.#decide({ type: NACK, data: { message, requeue, delay_seconds: seconds(delay) } });
  }

  /** It shall come again. */
  requeue(message = "", { delay = 0, headers = {} }: RequeueOptions = {}): void {
    const lists = Object.entries(headers).map(([name, value]) => [name, [value].flat()]);
    const data = { message, delay_seconds: seconds(delay), headers: Object.fromEntries(lists) };
    this.#decide({ type: REQUEUE, data });
  }

  #decide(outcome: Outcome): void {
    if (this.#outcome !== undefined) throw new Error(`job ${this.id} was answered already`);
    this.#outcome = outcome;
  }
}

/** Works on jobs until the supervisor says stop; the process ends then. */
export function jobs(handler: JobHandler, options: WorkerOptions = {}): Promise<never> {
  return run("jobs", (turn) => exchange(turn, handler), options);
}

async function exchange(turn: Turn, handler: JobHandler): Promise<void> {
  const context: JobContext = JSON.parse(new TextDecoder().decode(turn.context));
  const job = new Job(context, turn.body);
  const outcome = await outcomeOf(job, handler);
  await turn.answer(0, NOTHING, new TextEncoder().encode(JSON.stringify(outcome)));
}

async function outcomeOf(job: Job, handler: JobHandler): Promise<Outcome> {
  try {
    await handler(job);
    return job.outcome ?? { type: SUCCESS, data: [] };
  } catch (error) {
    if (error instanceof ReplaceWorker) throw error;
    if (job.outcome !== undefined) {
      console.error(`worker: job ${job.id} was answered, then its handler threw:`, error);
      return job.outcome;
    }
    const { headers } = job;
    const data = { message: textOf(error), requeue: false, delay_seconds: 0, headers };
    return { type: ERROR, data };
  }
}

/** @throws RangeError */
function seconds(delay: number): number {
  if (Number.isInteger(delay) && delay >= 0) return delay;
  throw new RangeError(`a delay of ${delay}: whole seconds are needed`);
}
