/**
 * HTTP by pools of workers: throughput and processor time of the daemon alone, one exchange over
 * each relay, memory of idle workers' slots, a reset under load. Beside it RoadRunner, when `rr` is
 * there.
 *
 * Invariant: nothing is asserted; the processor time is the server's own, without its workers.
 */

import { startLoad } from "../../tests/kit/load.ts";
import type { Yaml } from "../../tests/kit/programs.ts";
import { pause } from "../../tests/kit/wait.ts";
import { residentBytes } from "../soak/vitals.ts";
import { benchExchange } from "./pool_exchange.ts";
import { serveOurs, serveRoadRunner, WORKERS } from "./pool_peers.ts";
import { median, megabytes, milliseconds, type Print, repeat, table } from "./report.ts";
import { processorSeconds, wrk, type WrkResult } from "./wrk.ts";

const SECONDS = 3;
const CONNECTIONS = [1, 32, 256];
const SERVING = 4;
const MANY = 50;
const FEW = 2;
const REST = 10_000;
/** What one server did with one number of connections. */
interface Measured extends WrkResult {
  /** Microseconds of the server per request. */
  processor: number;
}

async function measure(port: number, pid: number, connections: number): Promise<Measured> {
  const before = processorSeconds(pid);
  const got = await wrk(port, "/", connections, SECONDS);
  return { ...got, processor: (processorSeconds(pid) - before) / got.requests * 1e6 };
}

/** All numbers of connections, after a round that warms up. */
async function measureAll(port: number, pid: number): Promise<Measured[]> {
  await wrk(port, "/", 32, 1);
  const all: Measured[] = [];
  for (const connections of CONNECTIONS) all.push(await measure(port, pid, connections));
  return all;
}

async function throughput(print: Print): Promise<void> {
  const pool: Yaml = { num_workers: SERVING };
  const found: [string, Measured[]][] = [];
  for (const [name, command] of Object.entries(WORKERS)) {
    await using ours = await serveOurs(command, pool);
    found.push([name, await measureAll(ours.workers, ours.pid)]);
  }
  const rr = await serveRoadRunner(WORKERS.PHP, pool);
  if (typeof rr === "string") print(`skipped: RoadRunner: ${rr}`);
  else {
    await using server = rr;
    found.push(["RoadRunner, PHP", await measureAll(server.port, server.pid)]);
  }
  const theirs = found.find(([name]) => name.startsWith("RoadRunner"))?.[1];
  for (const [i, connections] of CONNECTIONS.entries()) {
    const rows = found.map(([name, all]) => [
      name,
      all[i].rate.toFixed(0),
      all[i].p50.toFixed(2),
      all[i].p99.toFixed(2),
      all[i].processor.toFixed(1),
      String(all[i].failed),
      theirs === undefined ? "" : (all[i].rate / theirs[i].rate).toFixed(2),
    ]);
    const head = ["", "requests/s", "p50 ms", "p99 ms", "CPU µs", "failed", "vs RoadRunner"];
    print(`\n${SERVING} workers, ${connections} connections\n${table([head, ...rows])}`);
  }
  print("goals: 0.9 × RoadRunner with PHP; 60 µs of the daemon per request");
}

async function slots(print: Print): Promise<void> {
  const resident: number[] = [];
  for (const num_workers of [FEW, MANY]) {
    await using ours = await serveOurs(WORKERS.PHP, { num_workers });
    await pause(REST);
    resident.push(residentBytes(ours.pid));
  }
  const slot = (resident[1] - resident[0]) / (MANY - FEW);
  print(`\n${
    table([
      ["resident of the daemon at rest", ""],
      [`${FEW} workers`, megabytes(resident[0])],
      [`${MANY} workers`, megabytes(resident[1])],
      ["one more slot", `${(slot / 1e3).toFixed(0)} kB`],
    ])
  }`);
}

async function resets(print: Print): Promise<void> {
  await using ours = await serveOurs(WORKERS.PHP, { num_workers: MANY });
  const loads = [
    startLoad({ port: ours.workers, connections: 16, every: 1 }),
    startLoad({ port: ours.workers, connections: 2, mode: "close", every: 2 }),
  ];
  const times = await repeat(3, async () => {
    const begin = performance.now();
    await ours.ok("reset", "http");
    return performance.now() - begin;
  });
  const reports = await Promise.all(loads.map((load) => load.stop()));
  const sum = (of: "ok" | "failed") => reports.reduce((all, report) => all + report[of], 0);
  print(`\n${
    table([
      [`3 resets of ${MANY} workers under load`, "", "goal"],
      ["requests answered", `${sum("ok")}`, ""],
      ["requests failed", `${sum("failed")}`, "0"],
      ["slowest request", milliseconds(Math.max(...reports.map(({ slowest }) => slowest))), ""],
      ["reset, median", milliseconds(median(times)), ""],
    ])
  }`);
  for (const report of reports) for (const failure of report.failures) print(`  ${failure}`);
}

/** Measures and prints. */
export async function benchPool(print: Print): Promise<void> {
  await throughput(print);
  await benchExchange(print);
  await slots(print);
  await resets(print);
}
