/**
 * What operators can ask of the pipelines of jobs.
 *
 * | question     | bounded by                                                              |
 * | ------------ | ----------------------------------------------------------------------- |
 * | numbers      | the engine's patience with each driver; those who ask together share it |
 * | push         | `jobs.timeout`                                                          |
 * | dead letters | PATIENCE for each question to a driver, MAX_SEARCHED letters            |
 * | all of them  | as many as there were when it began                                     |
 *
 * Invariant: no pipeline is changed that was not named, or found without doubt.
 */

import type { DeadJob } from "../../plugins/jobs/driver.ts";
import type { JobsEngine, NewJob, PipelineStat, ScheduleInfo } from "../../plugins/jobs/engine.ts";
import { type PipelineState, pipelineStates, waitingOf } from "../../plugins/jobs/states.ts";
import type {
  DeadLetter,
  FlowRequest,
  FlowResult,
  JobsOperations,
  LettersRequest,
  LettersResult,
  PipelineStatus,
  PushRequest,
  ScheduleStatus,
} from "../control/jobs.ts";
import { SHOWN_PAYLOAD } from "../control/jobs.ts";
import { stamp, within } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { Exit, Failure } from "../core/failure.ts";
import { nearest } from "../core/suggest.ts";
import type { Context } from "./context.ts";

/** How long a driver may take to answer one question about its dead letters, ms. */
const PATIENCE = 8_000;

/** Dead letters shown when nothing else is said. */
const LETTERS = 50;

/** Dead letters asked for at a time by whoever looks through all of them; each brings its payload. */
const PAGE = 50;

/** Dead letters looked through for one id. */
const MAX_SEARCHED = 100_000;

/** What they need of the daemon. */
type Host = Pick<Context, "queues" | "clock" | "config">;

/** See the file's comment. */
export function jobsOperations(host: Host): JobsOperations {
  return {
    async pipelines({ pipeline }) {
      const engine = engineOf(host);
      if (pipeline !== undefined) known(engine, pipeline);
      const all = await statsOf(engine);
      const wanted = (name: string) => pipeline === undefined || name === pipeline;
      return {
        pipelines: all.filter(({ name }) => wanted(name)).map(pipelineStatus),
        schedules: engine.schedules().filter((one) => wanted(one.pipeline)).map(scheduleStatus),
      };
    },

    async push(request) {
      const engine = engineOf(host);
      const { pipeline } = request;
      known(engine, pipeline);
      const [id] = await engine.push(pipeline, [newJob(request)]);
      return { status: "success", pipeline, id };
    },

    pause: (request) => turn(host, request, false),
    resume: (request) => turn(host, request, true),

    async dead({ pipeline, lines, after }) {
      const engine = engineOf(host);
      known(engine, pipeline);
      const most = lines || LETTERS;
      const found = await answered(host, pipeline, engine.dead(pipeline, most + 1, after));
      return {
        pipeline,
        letters: found.slice(0, most).map(deadLetter),
        more: found.length > most,
      };
    },

    async letter({ pipeline, id, bytes }) {
      const engine = engineOf(host);
      known(engine, pipeline);
      const letter = await find(host, engine, pipeline, id);
      if (letter === undefined) throw noLetter(pipeline, id);
      return { pipeline, ...deadLetter(letter), ...shown(letter.payload, bytes ?? SHOWN_PAYLOAD) };
    },

    retry: (request) => settle(host, request, "retry"),
    drop: (request) => settle(host, request, "drop"),
  };
}

/** Pipelines with their numbers, for machines; none without a `jobs` section. */
export async function pipelineStatuses(
  { queues }: Pick<Host, "queues">,
): Promise<PipelineStatus[]> {
  return queues === undefined ? [] : (await statsOf(queues)).map(pipelineStatus);
}

/** The same in RoadRunner's words. */
export async function roadRunnerStates({ queues }: Pick<Host, "queues">): Promise<PipelineState[]> {
  return queues === undefined ? [] : pipelineStates(await statsOf(queues));
}

/** Questions about the numbers that are under way. */
const asking = new WeakMap<JobsEngine, Promise<PipelineStat[]>>();

function statsOf(engine: JobsEngine): Promise<PipelineStat[]> {
  const under = asking.get(engine);
  if (under !== undefined) return under;
  const asked = engine.stat().finally(() => asking.delete(engine));
  asking.set(engine, asked);
  return asked;
}

/** @throws Failure when there are no pipelines */
function engineOf({ queues, config }: Host): JobsEngine {
  if (queues !== undefined && config.sections.jobs !== undefined) return queues;
  throw new Failure("there are no pipelines: the configuration in force has no section jobs", {
    fix: "write jobs.pipelines, then supervisor reload",
  });
}

/** @throws Failure when there is no such pipeline */
function known(engine: JobsEngine, name: string): void {
  const names = engine.pipelines().map(({ name }) => name);
  if (names.includes(name)) return;
  const near = nearest(name, names);
  const fix = near !== undefined
    ? `did you mean "${near}"?`
    : names.length === 0
    ? "write it into jobs.pipelines, then supervisor reload"
    : `pipelines: ${names.join(", ")}`;
  throw new Failure(`there is no pipeline "${name}"`, { fix });
}

/** @throws Failure when the driver does not answer in time */
async function answered<T>({ clock }: Host, pipeline: string, asked: Promise<T>): Promise<T> {
  const answer = await within(clock, PATIENCE, asked);
  if (answer.done) return answer.value;
  // What comes of it later is nobody's business any more.
  asked.catch(() => {});
  throw new Failure(
    `the driver of pipeline "${pipeline}" did not answer within ${formatDuration(PATIENCE)}`,
    { fix: "look at supervisor jobs list, and at its broker" },
  );
}

async function turn(
  host: Host,
  { pipeline }: FlowRequest,
  consuming: boolean,
): Promise<FlowResult> {
  const engine = engineOf(host);
  known(engine, pipeline);
  const before = engine.pipelines().find(({ name }) => name === pipeline)!.consuming;
  const changed = before !== consuming;
  if (changed) await (consuming ? engine.resume(pipeline) : engine.pause(pipeline));
  return { status: "success", pipeline, consuming, changed };
}

async function settle(
  host: Host,
  { pipeline, id, all }: LettersRequest,
  how: "retry" | "drop",
): Promise<LettersResult> {
  const engine = engineOf(host);
  if (pipeline !== undefined) known(engine, pipeline);
  if ((id === undefined) !== (all === true)) {
    throw new Failure(`${how} needs either the id of a dead letter or "all"`, { exit: Exit.usage });
  }
  if (id === undefined) {
    if (pipeline === undefined) {
      throw new Failure(`${how} of all dead letters needs the pipeline`, { exit: Exit.usage });
    }
    const count = await settleAll(host, engine, pipeline, how);
    return { status: "success", pipeline, count };
  }
  const where = pipeline ?? await whereIs(host, engine, id);
  if (!await answered(host, where, engine[how](where, id))) throw noLetter(where, id);
  return { status: "success", pipeline: where, count: 1 };
}

/** Those that are there now; what is retried and dies meanwhile comes behind them. */
async function settleAll(
  host: Host,
  engine: JobsEngine,
  pipeline: string,
  how: "retry" | "drop",
): Promise<number> {
  const { stat, stat_error } = (await engine.stat()).find(({ name }) => name === pipeline)!;
  if (stat === undefined) {
    throw new Failure(
      `nobody knows what dead letters pipeline "${pipeline}" has: ${stat_error}`,
      { fix: "look at supervisor jobs list, and at its broker" },
    );
  }
  let count = 0;
  for (let left = stat.dead; left > 0;) {
    const page = await answered(host, pipeline, engine.dead(pipeline, Math.min(left, PAGE)));
    if (page.length === 0) break;
    left -= page.length;
    for (const { id } of page) {
      if (await answered(host, pipeline, engine[how](pipeline, id))) count++;
    }
  }
  return count;
}

/** The one pipeline with a dead letter of that id. @throws Failure when there is none, or several */
async function whereIs(host: Host, engine: JobsEngine, id: string): Promise<string> {
  const names = engine.pipelines().map(({ name }) => name);
  const found: string[] = [];
  for (const name of names) {
    if (await find(host, engine, name, id) !== undefined) found.push(name);
  }
  if (found.length === 1) return found[0];
  if (found.length === 0) {
    throw new Failure(`no pipeline has a dead letter "${id}"`, {
      fix: "see supervisor jobs dead PIPELINE",
    });
  }
  throw new Failure(`several pipelines have a dead letter "${id}": ${found.join(", ")}`, {
    exit: Exit.usage,
    fix: "name the pipeline before the id",
  });
}

async function find(
  host: Host,
  engine: JobsEngine,
  pipeline: string,
  id: string,
): Promise<DeadJob | undefined> {
  let after: string | undefined;
  for (let searched = 0; searched < MAX_SEARCHED; searched += PAGE) {
    const page = await answered(host, pipeline, engine.dead(pipeline, PAGE, after));
    const letter = page.find((one) => one.id === id);
    if (letter !== undefined) return letter;
    if (page.length < PAGE) return undefined;
    after = page[page.length - 1].id;
  }
  throw new Failure(
    `"${id}" is not among the ${MAX_SEARCHED} oldest dead letters of pipeline "${pipeline}"`,
    { fix: "drop or retry older ones first" },
  );
}

function noLetter(pipeline: string, id: string): Failure {
  return new Failure(`pipeline "${pipeline}" has no dead letter "${id}"`, {
    fix: `see supervisor jobs dead ${pipeline}`,
  });
}

function newJob(request: PushRequest): NewJob {
  const { job, payload, payload_base64, headers, delay_ms, priority, id, unique, auto_ack } =
    request;
  if (payload !== undefined && payload_base64 !== undefined) {
    throw new Failure("a job has one payload: as payload or as payload_base64, not both", {
      exit: Exit.usage,
    });
  }
  return {
    id,
    name: job,
    payload: payload_base64 === undefined
      ? new TextEncoder().encode(payload ?? "")
      : Uint8Array.fromBase64(payload_base64),
    headers,
    delay: delay_ms,
    priority,
    unique,
    auto_ack,
  };
}

function pipelineStatus(one: PipelineStat): PipelineStatus {
  const { name, driver, pool, consuming, link, priority, declared, running, counts } = one;
  const { stat, stat_error } = one;
  return {
    pipeline: name,
    driver,
    pool,
    consuming,
    ready: link.state === "ready",
    error: link.state === "ready" ? stat_error : link.error ?? stat_error,
    ...(link.state !== "ready" && { next_try_at: link.next_try_at }),
    priority,
    declared,
    waiting: stat === undefined ? null : waitingOf(stat, running),
    delayed: stat?.delayed ?? null,
    reserved: stat?.reserved ?? null,
    dead: stat?.dead ?? null,
    running,
    counts,
  };
}

function scheduleStatus(one: ScheduleInfo): ScheduleStatus {
  const { name, cron, timezone, pipeline, job, next_run_at, last_run_at, error } = one;
  const at = (wall: number | undefined) => wall === undefined ? null : stamp(wall);
  return {
    schedule: name,
    cron,
    ...(timezone !== undefined && { timezone }),
    pipeline,
    job,
    next_run_at: at(next_run_at),
    last_run_at: at(last_run_at),
    ...(error !== undefined && { error }),
  };
}

function deadLetter(letter: DeadJob): DeadLetter {
  const { id, name, attempts, error, died_at, priority, headers, payload } = letter;
  return {
    id,
    job: name,
    attempts,
    error,
    died_at: stamp(died_at),
    priority,
    headers,
    payload_bytes: payload.length,
  };
}

/** The beginning of a payload: as text, unless it is none. */
function shown(payload: Uint8Array, most: number) {
  const part = payload.subarray(0, most);
  const payload_cut = part.length < payload.length;
  try {
    // A letter that was cut in two is left out, it does not make a text binary.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return { payload: text.decode(part, { stream: payload_cut }), payload_cut };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return { payload_base64: part.toBase64(), payload_cut };
  }
}
