/**
 * `deno task soak`: one daemon under load for a long time, while releases come and go and programs
 * are killed at random; then every promise is checked, each with a line of its own.
 *
 *   SOAK_SECONDS=60 deno task soak     how long, default 600
 *   SOAK_SEED=7 deno task soak         the same choices again (their timing is the machine's)
 *   SUPERVISOR_BIN=… deno task soak    an existing program instead of a fresh build
 *
 * Invariant: the last line is `N passed, N failed`; the exit code is 0 only if nothing failed.
 */

import type { EventRecord } from "../lib/telemetry/events.ts";
import { type Daemon, startDaemon } from "../tests/kit/daemon.ts";
import { type LoadOptions, startLoad } from "../tests/kit/load.ts";
import { freePorts } from "../tests/kit/ports.ts";
import { program, webProcess, type Yaml } from "../tests/kit/programs.ts";
import { Random } from "../tests/kit/random.ts";
import { pause, until } from "../tests/kit/wait.ts";
import { describe } from "./compile.ts";
import { build } from "./lib/build.ts";
import { Operator, type Settings } from "./soak/operator.ts";
import { Requests } from "./soak/requests.ts";
import { descriptors, listening, MemoryRecord, residentBytes } from "./soak/vitals.ts";

const DEFAULT_SECONDS = 600;

/** How long the proxy holds requests while no program is ready, milliseconds. */
const HOLD = 2_000;

/** Ports of the proxied program: enough for what runs side by side, too few to leak any. */
const PORTS = 24;

/** Copies of the proxied program where the daemon is measured at rest. */
const COPIES = 2;

/** Between two kills, milliseconds. */
const KILL_EVERY: [number, number] = [400, 2_500];

const MEMORY_SAMPLE_EVERY = 500;

/** Growth of resident memory from the second quarter to the last that is no leak yet, bytes. */
const MEMORY_GROWTH = 24_000_000;

/** Descriptors at rest after the work may be this many more than before it. */
const DESCRIPTOR_GROWTH = 12;

/** How long everything may take to come to rest, milliseconds. */
const REST_LIMIT = 60_000;

/** A promise and what stands against it. */
interface Verdict {
  promise: string;
  /** Empty: kept. */
  against: string[];
  note?: string;
}

function configuration(dir: string, firstPort: number, settings: Settings): Yaml {
  const restart = { delay: "50ms", backoff_factor: 1, max_delay: "50ms" };
  return {
    proxy: { hold: `${HOLD}ms`, drain_timeout: "3s", force_stop_timeout: "2s" },
    release_retention: { keep: 3 },
    processes: {
      web: webProcess({
        port: `${firstPort}-${firstPort + PORTS - 1}`,
        replicas: COPIES,
        env: { STAMP: `${settings.stamp}` },
        output_lines: settings.outputLines,
        restart,
      }),
      beat: { command: program("worker.sh", "beat"), restart },
      // Only one can hold the lock: whoever comes while another has it leaves a line.
      clock: {
        policy: "singleton",
        command:
          `flock -n -E 66 ${dir}/clock.lock sleep 1000000; [ $? != 66 ] || date >>${dir}/twice`,
        restart,
      },
      store: { policy: "service", command: program("worker.sh", "store"), restart },
    },
  };
}

/** What clients do. */
function clients(port: number): LoadOptions[] {
  return [
    { port, connections: 3, every: 3 },
    { port, connections: 2, mode: "close", every: 5 },
    { port, connections: 2, path: "/slow?ms=150" },
    { port, connections: 1, path: "/download?bytes=300000&chunked=1", every: 20 },
    { port, connections: 1, method: "POST", path: "/upload", body: "x".repeat(50_000), every: 20 },
  ];
}

/** Pids of all programs that status knows, with their children. */
async function programs(d: Daemon): Promise<number[]> {
  const { releases, services, singletons } = await d.status();
  const all = [
    ...releases.flatMap((release) => release.processes),
    ...[...services, ...singletons].map((one) => one.process),
  ];
  return all.flatMap(({ pid, children }) => [pid ?? 0, ...children.map((child) => child.pid)])
    .filter((pid, i, pids) => pid > 0 && pids.indexOf(pid) === i);
}

/** Kills a program, or a process of its group, every now and then. @returns how many */
async function killPrograms(
  d: Daemon,
  requests: Requests,
  random: Random,
  deadline: number,
): Promise<number> {
  for (let killed = 0;; killed++) {
    await pause(random.int(...KILL_EVERY));
    if (performance.now() > deadline) return killed;
    const pids = await programs(d);
    if (pids.length === 0) continue;
    const pid = random.pick(pids);
    requests.killed(pid);
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It ended between the look and the shot.
    }
  }
}

/** Tells the record of requests what the daemon noticed, until its events end. */
async function follow(d: Daemon, requests: Requests): Promise<void> {
  const response = await d.api("/v1/events?follow=1&limit=0");
  let rest = "";
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    for (const line of lines) notice(JSON.parse(line), requests);
  }
}

function notice({ event, at, data }: EventRecord, requests: Requests): void {
  const time = Date.parse(at) - performance.timeOrigin;
  if (event === "process_exited") requests.ended(data.pid as number, time);
  if (event === "upstreams_down") requests.down(true, time);
  if (event === "upstreams_back" || event === "traffic_switched") requests.down(false, time);
}

/**
 * Waits until nothing is on its way any more, but requests while clients are still at work.
 * @returns what does not come to rest
 */
async function rest(d: Daemon, clients: boolean): Promise<string[]> {
  try {
    await d.statusUntil(
      "rest",
      ({ releases, singletons, services, leases, operation, orphans }) => {
        const running = releases.flatMap((release) => release.processes);
        const standing = [...singletons, ...services].map((one) => one.process);
        return (clients || leases === 0) && operation === null && orphans.length === 0 &&
          releases.every(({ state }) => ["active", "stopped", "failed"].includes(state)) &&
          releases.filter(({ state }) => state === "active").length === 1 &&
          [...running, ...standing].every(({ pid, healthy }) => pid === undefined || healthy);
      },
      REST_LIMIT,
    );
    return [];
  } catch (error) {
    return [`${(error as Error).message}: ${JSON.stringify(await d.status())}`];
  }
}

/** What runs is what status knows. */
async function strays(d: Daemon): Promise<string[]> {
  const unknown = async () => {
    const known = new Set([d.pid, ...await programs(d)]);
    return d.leftovers().filter(({ pid }) => !known.has(pid));
  };
  try {
    // A look at a changing table is repeated before it counts.
    await until("no unknown program", async () => (await unknown()).length === 0, 5_000);
    return [];
  } catch {
    return (await unknown()).map(({ pid, command }) => `${pid} ${command}`);
  }
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;

/** @returns one verdict for each promise */
async function soak(seconds: number, seed: number): Promise<Verdict[]> {
  const firstPort = freePorts(PORTS);
  const ports = () => listening(firstPort, firstPort + PORTS - 1);
  const config = (dir: string) => (settings: Settings) => configuration(dir, firstPort, settings);
  const first = { stamp: 0, outputLines: 50 };
  await using d = await startDaemon(
    { config: ({ dir }) => config(dir)(first) },
    "soak.log",
  );
  const { pid } = d;
  const requests = new Requests(HOLD);
  const following = follow(d, requests);
  const operator = new Operator(d, requests, new Random(seed), config(d.dir));
  const verdicts: Verdict[] = [];
  const verdict = (promise: string, against: string[], note?: string) =>
    verdicts.push({ promise, against, note });
  const when = (is: boolean, text: string) => is ? [text] : [];

  await operator.begin();
  const loads = clients(d.port).map((options) => startLoad({ ...options, onEnd: requests.take }));
  await Promise.all(loads.map((load) => load.answers(10)));
  const before = descriptors(pid);
  const memory = new MemoryRecord(pid, MEMORY_SAMPLE_EVERY);
  const deadline = performance.now() + seconds * 1000;
  const [kills] = await Promise.all([
    killPrograms(d, requests, new Random(seed + 1), deadline),
    operator.work(deadline),
  ]);
  memory.stop();
  await operator.settle(COPIES);
  const unrest = await rest(d, true);
  // Under the same load as before, so that connections are in the count both times.
  const after = descriptors(pid);
  for (const load of loads) await load.stop();
  unrest.push(...await rest(d, false));
  requests.judge();

  const { counters, state, pid: told, rss_bytes } = await d.status();
  const operations = [...operator.done].map(([name, count]) => `${count} × ${name}`).join(", ");
  verdict(
    "no request failed but by the kill of its program, none was answered by a release of the past",
    requests.bad,
    `${requests.good} answered, slowest ${requests.slowest.toFixed(0)} ms; ` +
      `${requests.excused} lost by ${kills} kills`,
  );
  verdict(
    "every operation did what it was told",
    operator.complaints,
    `${operations}; ${operator.excused} failed by a kill`,
  );
  verdict("everything comes to rest, healthy", unrest);
  verdict("no program runs that the daemon does not know", await strays(d));
  const live = (await d.status()).releases.flatMap(({ processes }) =>
    processes.flatMap(({ port, pid }) => port === undefined || pid === undefined ? [] : [port])
  ).sort((a, b) => a - b);
  verdict(
    "no port is held but by the live release",
    when(`${ports()}` !== `${live}`, `held: ${ports()}; of the live release: ${live}`),
  );
  verdict(
    "the singleton never ran twice at the same time",
    (d.read("twice") ?? "").split("\n").filter((line) => line !== ""),
  );
  const quarters = memory.quarters();
  verdict(
    "memory of the daemon does not grow",
    when(quarters[3] - quarters[1] > MEMORY_GROWTH, quarters.map(megabytes).join(", ")),
    `${quarters.map(megabytes).join(", ")} in the quarters of the time; ` +
      `${megabytes(residentBytes(pid))} at the end`,
  );
  verdict(
    "descriptors of the daemon do not grow",
    when(after > before + DESCRIPTOR_GROWTH, `${before} before, ${after} after`),
    `${before} before, ${after} after`,
  );
  verdict(
    "one daemon all the time, without an error of its own",
    [
      ...when(!d.running || told !== pid || state !== "running", `pid ${told}, ${state}`),
      ...when((counters.internal_errors ?? 0) > 0, JSON.stringify(counters)),
    ],
    JSON.stringify({ rss_bytes, ...counters }),
  );

  d.kill("SIGTERM");
  const { code, signal } = await d.ended();
  await following;
  verdict("the daemon ends when told", when(code !== 0, `code ${code}, signal ${signal}`));
  const left = d.leftovers().map(({ pid, command }) => `${pid} ${command}`);
  const there = d.read("run/pid") === undefined ? [] : ["its pid file"];
  verdict("nothing is left behind", [...left, ...there, ...ports().map((port) => `port ${port}`)]);
  return verdicts;
}

async function main(): Promise<number> {
  const seconds = Number(Deno.env.get("SOAK_SECONDS") ?? DEFAULT_SECONDS);
  const seed = Number(Deno.env.get("SOAK_SEED") ?? crypto.getRandomValues(new Uint16Array(1))[0]);
  if (!(seconds > 0) || !Number.isInteger(seed)) {
    console.error("SOAK_SECONDS must be a number above 0, SOAK_SEED a whole number");
    return 2;
  }
  if (Deno.env.get("SUPERVISOR_BIN") === undefined) {
    const built = await build({ onStart: (output) => console.log(`building ${output} …`) });
    console.log(describe(built));
    Deno.env.set("SUPERVISOR_BIN", built.path);
  }
  console.log(`soaking for ${seconds} s with SOAK_SEED=${seed} …`);
  const verdicts = await soak(seconds, seed);
  for (const { promise, against, note } of verdicts) {
    console.log(`${against.length === 0 ? "ok    " : "FAILED"} ${promise}`);
    if (note !== undefined) console.log(`       ${note}`);
    for (const line of against) console.log(`       ! ${line}`);
  }
  const failed = verdicts.filter(({ against }) => against.length > 0).length;
  console.log(`\n${verdicts.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
