/**
 * Daemons with pipelines, PHP workers and a client that pushes over RPC, and jobs that are held.
 *
 *   daemonTest("…", { config: jobs(), files: JOB_WORKER }, async (d) => {
 *     await using held = await holdJob(d);
 *     await push(d, "log", d.path("done"));
 *     held.finish();
 *   });
 *
 * The worker is fixtures/php/jobs_worker.php; what it does is said by the task.
 *
 * Invariant: every delivery of a job adds its id to the file `deliveries` of the test.
 */

import type { Daemon } from "./daemon.ts";
import type { Place } from "./daemon_options.ts";
import { Fifo } from "./gate.ts";
import { callFromPhp, type PhpCall, type PhpReply } from "./php_rpc.ts";
import { fixture, type Yaml } from "./programs.ts";
import { until } from "./wait.ts";
import type { Pipelines, PipelineStatus } from "../../lib/control/jobs.ts";
import type { PipelineState } from "../../plugins/jobs/states.ts";

/** The worker of a release, `worker.php`. */
export const jobScript = `<?php\n$argv[1] = getenv('DELIVERIES');\nrequire '${
  fixture("php/jobs_worker.php")
}';\n`;

/** For the directory of the configuration: workers of release `initial`. */
export const JOB_WORKER = { "worker.php": jobScript };

/** A configuration with the pipeline `mail` in memory and one worker. @param section laid over `jobs` */
export function jobs(section: Yaml = {}, { mail, ...more }: Yaml = {}) {
  return ({ dir }: Pick<Place, "dir">): Yaml => ({
    ...withoutJobs({ dir }),
    jobs: {
      pipelines: { mail: { driver: "memory", ...(mail as Yaml | undefined) } },
      consume: ["mail"],
      pool: { num_workers: 1, max_surge: 1 },
      ...section,
    },
    ...more,
  });
}

/** The same without the section. */
export function withoutJobs({ dir }: Pick<Place, "dir">): Yaml {
  return {
    server: { command: "php worker.php", env: { DELIVERIES: `${dir}/deliveries` } },
    rpc: { listen: `unix://${dir}/rpc.sock` },
    service: { clock: { command: "sleep 1000" } },
  };
}

/** Makes a release of job workers and deploys it, which must succeed. */
export async function deployJobs(d: Daemon, name: string, script = jobScript): Promise<void> {
  d.write(`releases/${name}/worker.php`, script);
  await d.ok("deploy", "--release-path", d.path("releases", name), "--release-id", name);
}

/** Pushes a job to `mail`, as PHP's client does. @param more options @returns its id */
export async function push(d: Daemon, job: string, payload = "", more: Yaml = {}): Promise<string> {
  const id = crypto.randomUUID();
  const options = { pipeline: "mail", priority: 10, ...more };
  await called(d, "jobs.Push", { job: { job, id, payload: btoa(payload), options } });
  return id;
}

/** Numbers of the pipeline `mail`. */
export async function statOf(d: Daemon): Promise<PipelineState> {
  const { stats } = await called(d, "jobs.Stat", {}) as { stats: PipelineState[] };
  return stats[0];
}

/** Resolves when nothing waits in `mail` and no worker has anything of it. */
export async function emptied(d: Daemon): Promise<void> {
  await until("the pipeline to be empty", async () => {
    const { active, delayed, reserved } = await statOf(d);
    return active + delayed + reserved === 0;
  });
}

/** Ids of the jobs that workers got, as often as they did, in order. */
export function deliveries(d: Daemon): string[] {
  return (d.read("deliveries") ?? "").split("\n").filter((line) => line !== "");
}

/** A pipeline, as operators see it. */
export async function pipelineOf(d: Daemon, name = "mail"): Promise<PipelineStatus> {
  const { pipelines } = await (await d.api("/v1/jobs")).json() as Pipelines;
  return pipelines.find(({ pipeline }) => pipeline === name)!;
}

/** A call over RPC, from PHP. */
export async function rpc(d: Daemon, method: string, argument: unknown): Promise<PhpReply> {
  const call: PhpCall = [method, { json: argument }];
  const [reply] = await callFromPhp(`unix://${d.path("rpc.sock")}`, [call]);
  return reply;
}

async function called(d: Daemon, method: string, argument: unknown): Promise<unknown> {
  const { json, error } = await rpc(d, method, argument);
  if (error !== undefined) throw new Error(`${method}: ${error}`);
  return json;
}

/** A job that a worker holds until it is let go. */
export class HeldJob implements AsyncDisposable {
  constructor(
    readonly id: string,
    /** Of the worker. */
    readonly pid: number,
    readonly gate: Fifo,
    readonly there: Fifo,
  ) {}

  /** Lets it be done. */
  finish(): void {
    this.gate.release();
  }

  /** Waits until the next worker has it. @returns that worker's pid */
  async again(): Promise<number> {
    return Number(await this.there.line());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gate[Symbol.asyncDispose]();
    await this.there[Symbol.asyncDispose]();
  }
}

/** Pushes a job and waits until a worker has it. */
export async function holdJob(d: Daemon): Promise<HeldJob> {
  const name = `held${++holds}`;
  const gate = new Fifo(d.path(name));
  const there = new Fifo(d.path(`${name}.there`));
  try {
    const id = await push(d, "wait", `${there.path} ${gate.path}`);
    return new HeldJob(id, Number(await there.line()), gate, there);
  } catch (error) {
    await gate[Symbol.asyncDispose]();
    await there[Symbol.asyncDispose]();
    throw error;
  }
}

let holds = 0;
