/**
 * The service `jobs` for PHP clients, and `informer.Jobs` (protocol 12.1 and 12.2).
 *
 * | method                     | several of them                                                      |
 * | -------------------------- | -------------------------------------------------------------------- |
 * | `PushBatch`                | in order, those of one pipeline that stand together all or none; ends |
 * |                            | at the first that fails, what was stored before stays                |
 * | `Pause` `Resume`           | in order; ends at the first that fails                               |
 * | `Destroy`                  | side by side; fails when one does                                    |
 *
 * Invariant: an empty answer to a push is sent after the driver's promise holds, never before.
 */

import { RpcError, type RpcTable } from "../../lib/goridge/rpc.ts";
import {
  bytes,
  flag,
  integer,
  mapOf,
  Message,
  messages,
  nested,
  text,
  textMap,
  texts,
  unsigned,
} from "../../lib/goridge/rpc_message.ts";
import type { JobsEngine, NewJob } from "./engine.ts";
import type { Measure } from "./push_metrics.ts";
import { type PipelineState, pipelineStates } from "./states.ts";

interface Options {
  priority: number;
  pipeline: string;
  /** Seconds. */
  delay: number;
  auto_ack: boolean;
}

interface PushedJob {
  job: string;
  id: string;
  payload: Uint8Array;
  headers: Record<string, { value: string[] } | null>;
  options: Options | null;
}

const job = new Message<PushedJob>({
  job: text(1),
  id: text(2),
  payload: bytes(3),
  headers: mapOf(4, nested(2, new Message<{ value: string[] }>({ value: texts(1) }))),
  options: nested(
    5,
    new Message<Options>({
      priority: integer(1),
      pipeline: text(2),
      delay: integer(3),
      auto_ack: flag(6),
    }),
  ),
});
const pushed = new Message<{ job: PushedJob | null }>({ job: nested(1, job) });
const batch = new Message<{ jobs: PushedJob[] }>({ jobs: messages(1, job) });
const named = new Message<{ pipelines: string[] }>({ pipelines: texts(1) });
const declared = new Message<{ pipeline: Record<string, string> }>({ pipeline: textMap(1) });
const stats = new Message<{ stats: Omit<PipelineState, "error_message">[] }>({
  stats: messages(
    1,
    new Message<Omit<PipelineState, "error_message">>({
      pipeline: text(1),
      driver: text(2),
      queue: text(3),
      active: integer(4),
      delayed: integer(5),
      reserved: integer(6),
      ready: flag(7),
      priority: unsigned(8),
    }),
  ),
});
const nothing = new Message<Record<never, never>>({});

/** Seconds a job may be put off: a year. */
const MAX_DELAY = 365 * 24 * 3600;

/** `jobs.*` and `informer.Jobs`. `measure`: of pushes. */
export function jobsTable(
  { engine, measure }: { readonly engine: JobsEngine; readonly measure: Measure },
): RpcTable {
  return {
    "jobs.Push": async (call) => {
      const { job } = pushed.argument(call);
      if (job === null) throw new RpcError("the argument has no job");
      if (job.id === "") throw new RpcError("empty ID field not allowed");
      const pipeline = pipelineOf(job);
      await measure(pipeline, 1, "single", () => engine.push(pipeline, [newJob(job)]));
      return nothing.answer(call, {});
    },
    "jobs.PushBatch": async (call) => {
      for (const run of together(batch.argument(call).jobs)) {
        const pipeline = pipelineOf(run[0]);
        await measure(pipeline, run.length, "batch", () => engine.push(pipeline, run.map(newJob)));
      }
      return nothing.answer(call, {});
    },
    "jobs.Declare": async (call) => {
      await engine.declare(declared.argument(call).pipeline);
      return nothing.answer(call, {});
    },
    "jobs.Pause": async (call) => {
      for (const name of named.argument(call).pipelines) await engine.pause(name);
      return nothing.answer(call, {});
    },
    "jobs.Resume": async (call) => {
      for (const name of named.argument(call).pipelines) await engine.resume(name);
      return nothing.answer(call, {});
    },
    "jobs.Destroy": async (call) => {
      const { pipelines } = named.argument(call);
      await Promise.all(pipelines.map((name) => engine.destroy(name)));
      return named.answer(call, { pipelines });
    },
    "jobs.List": (call) =>
      named.answer(call, { pipelines: engine.pipelines().map(({ name }) => name) }),
    "jobs.Stat": async (call) => stats.answer(call, { stats: pipelineStates(await engine.stat()) }),
    "informer.Jobs": async (call) => {
      const plugin = call.json();
      if (typeof plugin !== "string") {
        throw new RpcError("the argument must be the name of a plugin, a string");
      }
      return { json: plugin === "jobs" ? pipelineStates(await engine.stat()) : [] };
    },
  };
}

function pipelineOf({ options }: PushedJob): string {
  return options?.pipeline ?? "";
}

function newJob({ job, id, payload, headers, options }: PushedJob): NewJob {
  const values = Object.entries(headers).map(([name, header]) => [name, header?.value ?? []]);
  return {
    id,
    name: job,
    payload,
    headers: Object.fromEntries(values),
    priority: options?.priority,
    delay: Math.min(options?.delay ?? 0, MAX_DELAY) * 1000,
    auto_ack: options?.auto_ack,
  };
}

/** Jobs of the same pipeline that stand next to each other. */
function together(jobs: readonly PushedJob[]): PushedJob[][] {
  const runs: PushedJob[][] = [];
  for (const job of jobs) {
    const run = runs.at(-1);
    if (run !== undefined && pipelineOf(run[0]) === pipelineOf(job)) run.push(job);
    else runs.push([job]);
  }
  return runs;
}
