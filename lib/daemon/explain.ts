/**
 * `explain`: why something is as it is, in sentences, from one look at the daemon and its events.
 *
 * Invariant: pure. Nothing is said that status, configuration or an event does not say; what only
 * events know (it ran yesterday) is a subject, too.
 */

import type { Config } from "../config/config.ts";
import { jobsOf } from "../config/roadrunner/mod.ts";
import type { PipelineStatus } from "../control/jobs.ts";
import type { Explanation, Status, Subject, Workers } from "../control/operations.ts";
import { Failure } from "../core/failure.ts";
import { own } from "../core/own.ts";
import { nearest } from "../core/suggest.ts";
import { idOf } from "../process/spool.ts";
import type { ProcessSnapshot } from "../process/types.ts";
import type { EventRecord } from "../telemetry/events.ts";
import { failedStart, history } from "./explain_events.ts";
import { pipelineReasons, pipelineState } from "./explain_pipeline.ts";
import { poolReasons, workerReasons } from "./explain_pool.ts";
import { processReasons, type Seen } from "./explain_process.ts";
import { releaseReasons } from "./explain_release.ts";

/** Events that an explanation is made from, at most. */
export const EXPLAINED_EVENTS = 300;

/** Names shown when there is none of that name. */
const SHOWN_NAMES = 20;

/** Lines of output that are shown. */
const OUTPUT_LINES = 10;

/** What an explanation is made from. */
export interface Facts {
  status: Status;
  workers: Workers;
  /** Names of all pipelines. */
  pipelines: readonly string[];
  /** The one of that name. */
  pipeline?: PipelineStatus;
  config: Config;
  /** Those that {@linkcode isAbout} the name, oldest first. */
  events: readonly EventRecord[];
  /** Wall time, milliseconds. */
  now: number;
}

/** Facts of events that name what they are about. */
export const NAMES = ["process", "pool", "worker", "release", "pipeline"] as const;

/** Whether an event belongs to the story of a name. */
export function isAbout(name: string): (record: EventRecord) => boolean {
  return ({ event, data }) =>
    event === "daemon_started" || event === "daemon_stopped" ||
    NAMES.some((fact) => data[fact] === name) || data.previous === name ||
    (typeof data.process === "string" && idOf(data.process) === name);
}

/** @throws Failure when nothing of that name is or was there */
export function explain(name: string, facts: Facts): Explanation {
  const subjects = [
    ...processes(name, facts),
    ...pools(name, facts),
    ...workers(name, facts),
    ...releases(name, facts),
    ...pipelines(name, facts),
  ];
  if (subjects.length > 0) return { name, subjects };
  const past = gone(name, facts);
  if (past !== undefined) return { name, subjects: [past] };
  throw unknown(name, facts);
}

function processes(name: string, facts: Facts): Subject[] {
  const all = seen(facts.status);
  const found = all.filter(({ process }) => process.id === name || process.process_id === name);
  const subjects = found.map((one): Subject => {
    const { process, release } = one;
    const events = facts.events.filter(({ data }) => data.process === process.id);
    return {
      kind: "process",
      id: process.id,
      release_id: release?.release_id ?? null,
      state: process.state,
      because: processReasons(one, { ...facts, events, all }),
      ...story(facts.events, ({ data }) => data.process === process.id, process.command),
      output: process.logs.slice(-OUTPUT_LINES),
    };
  });
  const configured = facts.config.processes.some(({ id }) => id === name);
  return subjects.length === 0 && configured ? [notRunning(name, facts)] : subjects;
}

/** A process of the configuration that nothing runs. */
function notRunning(id: string, { status, events }: Facts): Subject {
  const why = status.active_release_id === null
    ? "no release is live: it starts with the next deploy"
    : `the live release "${status.active_release_id}" does not have it: it was added since, or has 0 replicas`;
  return {
    kind: "process",
    id,
    release_id: null,
    state: "stopped",
    because: [
      why,
      ...status.restore === undefined
        ? []
        : [`the last release does not come back: ${status.restore.error}`],
    ],
    ...story(events, () => true),
    output: [],
  };
}

function pools(name: string, { workers, events }: Facts): Subject[] {
  return workers.pools.filter(({ pool, plugin }) => pool === name || plugin === name).map(
    (pool) => {
      const its = workers.workers.filter((one) =>
        one.pool === pool.pool && one.release_id === pool.release_id
      );
      return {
        kind: "pool",
        id: pool.pool,
        release_id: pool.release_id,
        state: pool.state,
        because: poolReasons(pool, its),
        ...story(events, ({ data }) => data.pool === pool.pool, its[0]?.command),
        output: [],
      };
    },
  );
}

function workers(name: string, { workers, events }: Facts): Subject[] {
  return workers.workers.filter(({ id }) => id === name).map((worker) => ({
    kind: "worker",
    id: worker.id,
    release_id: worker.release_id,
    state: worker.state,
    because: workerReasons(worker, events),
    ...story(events, ({ data }) => data.worker === name || data.process === name, worker.command),
    output: [],
  }));
}

function releases(name: string, { status, workers, events, now }: Facts): Subject[] {
  return status.releases.filter(({ release_id }) => release_id === name).map((release) => ({
    kind: "release",
    id: name,
    release_id: name,
    state: release.state,
    because: releaseReasons(release, status, workers, events, now),
    ...story(events, () => true),
    output: [],
  }));
}

function pipelines(name: string, facts: Facts): Subject[] {
  const { pipeline, config, events } = facts;
  if (pipeline === undefined) return [];
  const settings = pipeline.declared ? undefined : own(jobsOf(config)?.pipelines, name);
  const mine = ({ data }: EventRecord) => data.pipeline === name;
  const its = events.filter((one) => mine(one) || one.event === "daemon_started");
  const all = { ...facts, settings, events: its };
  return [{
    kind: "pipeline",
    id: name,
    release_id: null,
    state: pipelineState(pipeline, all),
    because: pipelineReasons(pipeline, all),
    ...story(events, mine),
    output: [],
  }];
}

/** What only events know. */
function gone(name: string, { events }: Facts): Subject | undefined {
  const its = events.filter(({ data }) => NAMES.some((fact) => data[fact] !== undefined));
  const last = its.at(-1);
  if (last === undefined) return undefined;
  const kind = NAMES.find((fact) => last.data[fact] === name) ?? "process";
  return {
    kind,
    id: name,
    release_id: null,
    state: "gone",
    because: [`there is no ${kind} "${name}" now; this is what is known of it`],
    ...story(events, () => true),
    output: [],
  };
}

/** The parts of a subject that events tell. */
export function story(
  events: readonly EventRecord[],
  mine: (record: EventRecord) => boolean,
  command?: string,
): Pick<Subject, "history" | "failed_start"> {
  const failed = failedStart(events.filter(mine), command);
  return {
    history: history(events, mine),
    ...(failed === undefined ? {} : { failed_start: failed }),
  };
}

/** Every process of the daemon with the release it belongs to. */
function seen({ services, singletons, releases }: Status): Seen[] {
  return [
    ...[...services, ...singletons].map(({ process }) => ({ process })),
    ...releases.flatMap((release) => release.processes.map((process) => ({ process, release }))),
  ];
}

function unknown(name: string, { status, workers, config, pipelines }: Facts): Failure {
  const processes: ProcessSnapshot[] = seen(status).map(({ process }) => process);
  const names = [
    ...new Set([
      ...config.processes.map(({ id }) => id),
      ...processes.map(({ id }) => id),
      ...workers.pools.map(({ pool }) => pool),
      ...workers.workers.map(({ id }) => id),
      ...status.releases.map(({ release_id }) => release_id),
      ...pipelines,
    ]),
  ];
  const near = nearest(name, names);
  const more = names.length > SHOWN_NAMES ? ", …" : "";
  return new Failure(
    `there is no process, pool, worker, release or pipeline "${name}", and no event of one`,
    {
      fix: near !== undefined
        ? `did you mean "${near}"?`
        : `there are: ${names.slice(0, SHOWN_NAMES).join(", ")}${more}`,
    },
  );
}
