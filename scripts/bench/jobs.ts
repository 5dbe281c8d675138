/**
 * Queues of jobs: pushes and full cycles (push, worker, acknowledgement) of each driver with its own
 * broker; the same file with few and with very many jobs waiting; memory of a waiting job. Beside it
 * RoadRunner, when `rr` is there.
 *
 * Invariant: nothing is asserted; clients, daemon, workers and broker share the machine. Processor
 * time is the server's own, without workers and broker.
 */

import { join } from "@std/path";
import { stringify } from "@std/yaml";
import { type Daemon, startDaemon } from "../../tests/kit/daemon.ts";
import { freePort } from "../../tests/kit/ports.ts";
import type { Yaml } from "../../tests/kit/programs.ts";
import { Scratch } from "../../tests/kit/scratch.ts";
import { until as eventually } from "../../tests/kit/wait.ts";
import { Client } from "../../tests/unit/goridge/rpc_kit.ts";
import { DRIVERS, Place } from "../ledger/places.ts";
import { residentBytes } from "../soak/vitals.ts";
import { PIPELINE, push, stat, until } from "./jobs_load.ts";
import { median, megabytes, milliseconds, type Print, repeat, table } from "./report.ts";
import { processorSeconds } from "./wrk.ts";

/** Jobs of one measurement; memory and the file of jobs are fast enough for so many. */
const JOBS = Number(Deno.env.get("BENCH_JOBS") ?? 20_000);
/** Jobs that wait in the file, few and many. */
const BACKLOGS = [1000, Number(Deno.env.get("BENCH_BACKLOG") ?? 1_000_000)];
/** Jobs that wait in memory. */
const HEAP = Math.min(10 * JOBS, 200_000);

const CLIENTS = 16;
const BATCH = 100;
const PREFETCH = 1000;
const STATS = 50;

const HERE = new URL(".", import.meta.url).pathname;
const KIT = [
  Deno.execPath(),
  "run",
  "--allow-env",
  "--allow-read",
  "--no-lock",
  join(HERE, "peers", "jobs_worker.ts"),
];
const PHP = ["php", join(HERE, "peers", "jobs_worker.php")];

/** Who works, or would if the pipeline were consumed. */
interface Crew {
  name: string;
  command: string[];
  workers: number;
}

const IDLE: Crew = { name: "nobody", command: KIT, workers: 1 };
const CREWS: Crew[] = [
  { name: "1 of the kit", command: KIT, workers: 1 },
  { name: "8 of the kit", command: KIT, workers: 8 },
  { name: "8 in PHP", command: PHP, workers: 8 },
];

/** What both servers understand. */
function sectionsFor(listen: string, crew: Crew, pipeline: Yaml, isConsumed: boolean): Yaml {
  return {
    version: "3",
    server: { command: crew.command },
    rpc: { listen },
    jobs: {
      consume: isConsumed ? [PIPELINE] : [],
      pool: { num_workers: crew.workers },
      pipelines: { [PIPELINE]: pipeline },
    },
  };
}

interface Serving extends AsyncDisposable {
  readonly address: string;
  readonly pid: number;
}

interface Ours extends Serving {
  readonly daemon: Daemon;
}

/** Our daemon with a pipeline of that driver. */
async function serveOurs(place: Place, crew: Crew, isConsumed: boolean): Promise<Ours> {
  const { section, pipeline } = place.sections({});
  const config = { ...pipeline.config as Yaml, prefetch: PREFETCH };
  const address = `tcp://127.0.0.1:${freePort()}`;
  const sections = sectionsFor(address, crew, { ...pipeline, config }, isConsumed);
  const daemon = await startDaemon({ config: { ...section, ...sections } }, "bench-jobs.log");
  const stop = () => daemon[Symbol.asyncDispose]();
  try {
    await ready(address);
  } catch (error) {
    await stop();
    throw error;
  }
  return { address, pid: daemon.pid, daemon, [Symbol.asyncDispose]: stop };
}

/** RoadRunner with one in memory. @returns a text when it cannot run here: why */
async function serveRoadRunner(crew: Crew, isConsumed: boolean): Promise<Serving | string> {
  const scratch = new Scratch();
  const address = `tcp://127.0.0.1:${freePort()}`;
  const pipeline = { driver: "memory", config: { priority: 10, prefetch: PREFETCH } };
  const sections = sectionsFor(address, crew, pipeline, isConsumed);
  const file = scratch.write(".rr.yaml", stringify({ ...sections, logs: { mode: "none" } }));
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("rr", {
      args: ["serve", "-c", file],
      cwd: scratch.dir,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch (error) {
    scratch[Symbol.dispose]();
    return `rr is not installed (${(error as Error).message})`;
  }
  const stop = async () => {
    child.kill("SIGTERM");
    await child.status;
    scratch[Symbol.dispose]();
  };
  try {
    await ready(address);
  } catch (error) {
    await stop();
    return `rr does not serve: ${(error as Error).message}`;
  }
  return { address, pid: child.pid, [Symbol.asyncDispose]: stop };
}

/** Resolves when the pipeline can be pushed to. */
async function ready(address: string): Promise<void> {
  await eventually(`pipeline ${PIPELINE} is ready`, async () => {
    using client = await Client.to(address);
    return (await stat(client)).error_message === "";
  });
}

/** Rates of pushing, one job in a call and many, into a pipeline that nobody works on. */
async function pushes({ address }: Serving): Promise<string[]> {
  const one = await push(address, { jobs: JOBS, batch: 1, clients: CLIENTS });
  const many = await push(address, { jobs: JOBS, batch: BATCH, clients: CLIENTS });
  return [one, many].map((rate) => rate.toFixed(0));
}

/** Full cycles per second, and microseconds of the server for each. */
async function cycles({ address, pid }: Serving): Promise<string[]> {
  const run = async (jobs: number) => {
    await push(address, { jobs, batch: BATCH, clients: 2 });
    await until(address);
  };
  await run(Math.ceil(JOBS / 10));
  const [begin, before] = [performance.now(), processorSeconds(pid)];
  await run(JOBS);
  const rate = JOBS / (performance.now() - begin) * 1000;
  return [rate.toFixed(0), ((processorSeconds(pid) - before) / JOBS * 1e6).toFixed(1)];
}

type Serve = (crew: Crew, isConsumed: boolean) => Promise<Serving | string>;

async function rowOf(name: string, serve: Serve): Promise<string[] | string> {
  const row = [name];
  for (const crew of [IDLE, ...CREWS]) {
    const server = await serve(crew, crew !== IDLE);
    if (typeof server === "string") return server;
    try {
      row.push(...(crew === IDLE ? await pushes(server) : await cycles(server)));
    } finally {
      await server[Symbol.asyncDispose]();
    }
  }
  return row;
}

async function throughput(print: Print): Promise<void> {
  const head = ["per second", "push", `push, ${BATCH} in a call`];
  for (const { name } of CREWS) head.push(`cycle, ${name}`, "CPU µs");
  const rows = [head];
  for (const driver of DRIVERS) {
    const row = await rowOf(driver, async (crew, isConsumed) => {
      // A broker of its own for each, so that none finds what another has left.
      const place = await Place.open(driver);
      const server = await serveOurs(place, crew, isConsumed).catch(async (error) => {
        await place[Symbol.asyncDispose]();
        throw error;
      });
      const stop = async () => {
        await server[Symbol.asyncDispose]();
        await place[Symbol.asyncDispose]();
      };
      return { ...server, [Symbol.asyncDispose]: stop };
    }).catch((error) => (error as Error).message);
    if (typeof row === "string") print(`skipped: ${driver}: ${row}`);
    else rows.push(row);
  }
  const theirs = await rowOf("RoadRunner, memory", serveRoadRunner);
  if (typeof theirs === "string") print(`skipped: RoadRunner: ${theirs}`);
  else rows.push(theirs);
  print(`\n${JOBS} jobs of 100 bytes, ${CLIENTS} clients push\n${table(rows)}`);
  print("goals: memory 20000 cycles, sqlite 5000 with commit before the answer");
}

/** One file with few and with many jobs waiting. */
async function backlog(print: Print): Promise<void> {
  const rows = [["sqlite, waiting", "push", "take and ack", "stat", "resident"]];
  await using place = await Place.open("sqlite");
  await using ours = await serveOurs(place, { ...IDLE, workers: 8 }, false);
  const { address, daemon } = ours;
  using client = await Client.to(address);
  for (const waiting of BACKLOGS) {
    const there = Number((await stat(client)).active ?? 0);
    await push(address, { jobs: Math.max(1, waiting - there), batch: 1000, clients: 2 });
    const pushed = await push(address, { jobs: JOBS, batch: 1, clients: CLIENTS });
    const stats = await repeat(STATS, async () => {
      const begin = performance.now();
      await stat(client);
      return performance.now() - begin;
    });
    const begin = performance.now();
    await daemon.ok("jobs", "resume", PIPELINE);
    await until(address, waiting);
    const took = (performance.now() - begin) / 1000;
    await daemon.ok("jobs", "pause", PIPELINE);
    rows.push([
      String(waiting),
      pushed.toFixed(0),
      (JOBS / took).toFixed(0),
      milliseconds(median(stats)),
      megabytes(residentBytes(ours.pid)),
    ]);
  }
  print(`\n${table(rows)}`);
}

async function memory(print: Print): Promise<void> {
  const rows = [["memory of a waiting job of 100 bytes", ""]];
  for (const driver of ["memory", "sqlite"]) {
    await using place = await Place.open(driver);
    await using ours = await serveOurs(place, IDLE, false);
    await push(ours.address, { jobs: 1000, batch: BATCH, clients: 2 });
    const before = residentBytes(ours.pid);
    await push(ours.address, { jobs: HEAP, batch: BATCH, clients: 2 });
    const each = (residentBytes(ours.pid) - before) / HEAP;
    rows.push([`${driver}, ${HEAP} of them`, `${each.toFixed(0)} B`]);
  }
  print(`\n${table(rows)}`);
}

/** Measures and prints. */
export async function benchJobs(print: Print): Promise<void> {
  await throughput(print);
  await backlog(print);
  await memory(print);
}
