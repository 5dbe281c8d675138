/**
 * The ledger of one driver: a daemon, a producer, workers that fail, an operator who kills, a judge.
 *
 * Invariant: everything is bounded by `limit`; nothing that was started is left.
 */

import { fromFileUrl } from "@std/path";
import type { DeadLetter, DeadLetters, Pipelines } from "../../lib/control/jobs.ts";
import { type Daemon, startDaemon } from "../../tests/kit/daemon.ts";
import type { Place as Home } from "../../tests/kit/daemon_options.ts";
import type { Yaml } from "../../tests/kit/programs.ts";
import { Random } from "../../tests/kit/random.ts";
import { pause, until } from "../../tests/kit/wait.ts";
import { judge, openOf, type Verdict } from "./judge.ts";
import { Operator } from "./operator.ts";
import { PIPELINE, Place } from "./places.ts";
import { Producer } from "./producer.ts";
import { readRecords } from "./records.ts";

const WORKER = fromFileUrl(new URL("worker.ts", import.meta.url));

/** Deliveries before a job is dead. Kills of workers cost attempts, too, and must not be the reason. */
const ATTEMPTS = 8;

/** How long a worker may be at a job, milliseconds. */
const STALL = 2_000;

/** How long before a disturbance an acknowledgement may still be under way, milliseconds. */
const UNDERWAY = 1_000;

/** Between two looks whether all is done, milliseconds. */
const REST_LOOK = 100;

const WORKERS = 4;

/** Share of the time in which they have something to do. */
const BUSY = 0.8;

/** How long before one a delivery that failed may have begun, milliseconds: it stalled first. */
const FAILING = STALL + UNDERWAY;

/** Dead letters in one answer. */
const PAGE = 1000;

/** What a run is made of. */
export interface Run {
  driver: string;
  ids: number;
  seconds: number;
  seed: number;
}

function configuration({ dir }: Home, place: Place, { ids, seconds, seed }: Run): Yaml {
  const { section, pipeline } = place.sections({
    retry: { max_attempts: ATTEMPTS, backoff: "20ms", factor: 1, max_delay: "20ms" },
    dead_letter: "keep",
    timeout: `${STALL}ms`,
  });
  return {
    server: {
      command: [Deno.execPath(), "run", "-A", "--quiet", "--no-config", "--no-lock", WORKER],
      env: {
        LEDGER_SEED: `${seed}`,
        LEDGER_RECORDS: `${dir}/records`,
        // Workers are busy most of the time, so that something waits whenever something is killed.
        LEDGER_PACE: `${BUSY * WORKERS * seconds * 1000 / ids}`,
      },
    },
    rpc: { listen: `unix://${dir}/rpc.sock` },
    ...section,
    jobs: {
      timeout: 10,
      drain_timeout: "10s",
      consume: [PIPELINE],
      pool: { num_workers: WORKERS, max_surge: 1 },
      pipelines: { [PIPELINE]: pipeline },
    },
  };
}

/** @returns one verdict for each promise */
export async function keepLedger(run: Run): Promise<Verdict[]> {
  const { driver, ids, seconds, seed } = run;
  // The time of the work, and as much again to come to rest.
  const limit = 60 + 2 * seconds;
  await using place = await Place.open(driver);
  await using d = await startDaemon({
    config: (home) => configuration(home, place, run),
    start: false,
  }, `ledger-${driver}.log`);
  Deno.mkdirSync(d.path("records", "once"), { recursive: true });
  await d.start();
  const operator = new Operator(d, place, new Random(seed));
  using producer = new Producer(`unix://${d.path("rpc.sock")}`, PIPELINE, new Random(seed + 1));
  const [produced] = await Promise.allSettled([
    producer.produce(ids, seconds, limit),
    operator.work(performance.now() + seconds * 1000),
  ]);
  if (produced.status === "rejected") throw produced.reason;
  const { confirmed, unconfirmed } = producer;
  const works = () => readRecords(d.path("records"));
  const open = () => openOf({ seed, confirmed, works: works() });
  const unrest = await rest(d, open, limit);
  if (place.kind.durable) {
    // What is done is done for the next daemon, too.
    await operator.killDaemon();
    unrest.push(...await rest(d, open, limit));
  }
  const letters = await deadLetters(d);
  d.kill("SIGTERM");
  const { code, signal } = await d.ended();
  const { disturbances } = operator;
  const ledger = { seed, confirmed, unconfirmed, works: works(), letters, disturbances };
  return [
    ...judge({ ...ledger, attempts: ATTEMPTS, underway: UNDERWAY, failing: FAILING }),
    { promise: "the pipeline comes to rest", against: unrest },
    {
      promise: "every operation did what it was told",
      against: operator.complaints,
      note: [...operator.counts].map(([name, count]) => `${count} × ${name}`).join(", "),
    },
    {
      promise: "no daemon had an error of its own, the last ended when told",
      against: [
        ...d.output().split("\n").filter((line) => line.includes('"event":"internal_error"')),
        ...code === 0 ? [] : [`code ${code}, signal ${signal}`],
      ],
    },
  ];
}

/**
 * Waits until nothing waits, no worker has anything, and all that can be done is done: not every broker
 * tells of all that is delayed.
 *
 * @returns what does not come to rest
 */
async function rest(d: Daemon, open: () => string[], seconds: number): Promise<string[]> {
  const look = async () => {
    const { pipelines }: Pipelines = await (await d.api("/v1/jobs")).json();
    return pipelines[0];
  };
  try {
    await until("rest", async () => {
      await pause(REST_LOOK);
      const { ready, waiting, delayed, reserved, running } = await look();
      const idle = waiting === 0 && delayed === 0 && reserved === 0 && running === 0;
      return ready && idle && open().length === 0;
    }, seconds * 1000);
    return [];
  } catch (error) {
    return [`${(error as Error).message}: ${JSON.stringify(await look())}`];
  }
}

/** All of them, oldest first. */
async function deadLetters(d: Daemon): Promise<DeadLetter[]> {
  const all: DeadLetter[] = [];
  for (;;) {
    const after = all.length === 0 ? "" : `&after=${all.at(-1)!.id}`;
    const response = await d.api(`/v1/jobs/dead?pipeline=${PIPELINE}&lines=${PAGE}${after}`);
    const { letters, more }: DeadLetters = await response.json();
    all.push(...letters);
    if (!more) return all;
    if (letters.length === 0) throw new Error(`no dead letter after ${all.at(-1)?.id}, and more`);
  }
}
