/**
 * What the daemon costs when it does nothing: size, start, memory, processor time, and how fast it
 * answers about a hundred programs. Beside it whatever else of its kind is installed.
 *
 * Invariant: memory is what the kernel counts as resident of the daemon alone, after a rest.
 */

import { type Daemon, startDaemon } from "../../tests/kit/daemon.ts";
import { deploy } from "../../tests/kit/deploying.ts";
import { webProcess, type Yaml } from "../../tests/kit/programs.ts";
import { pause } from "../../tests/kit/wait.ts";
import { residentBytes } from "../soak/vitals.ts";
import { measurePeers } from "./peers/supervisors.ts";
import { median, megabytes, milliseconds, type Print, repeat, table } from "./report.ts";

const STARTS = 20;
const REST = 10_000;
const STATUS_CALLS = 50;
const TICK = 10;

/** Programs that do nothing, so that only the daemon's share is seen. */
function sleepers(count: number): Record<string, Yaml> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`p${i}`, { command: ["/bin/sleep", "1000000"] }]),
  );
}

/** User and system time of a process, milliseconds. */
function processorTime(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK;
}

async function answering(d: Daemon): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    try {
      (await Deno.connect({ transport: "unix", path: d.socket })).close();
      return;
    } catch {
      await pause(1);
    }
  }
  throw new Error("the daemon does not come up");
}

async function startTimes(detached: boolean): Promise<number[]> {
  return await repeat(STARTS, async () => {
    await using d = await startDaemon(
      { config: { proxy: {}, processes: { web: webProcess() } }, start: false },
      "bench-start.log",
    );
    const begin = performance.now();
    if (detached) await d.ok("serve", "--detach");
    else {
      d.launch();
      await answering(d);
    }
    return performance.now() - begin;
  });
}

async function atRest(count: number): Promise<string[]> {
  const processes = count === 0 ? { web: webProcess() } : sleepers(count);
  await using d = await startDaemon({ config: { proxy: {}, processes } }, "bench-rest.log");
  if (count > 0) await deploy(d, "v1").live();
  await pause(REST);
  const before = processorTime(d.pid);
  await pause(REST);
  const used = processorTime(d.pid) - before;
  const rss = residentBytes(d.pid);
  const latency = await repeat(STATUS_CALLS, async () => {
    const begin = performance.now();
    await d.status();
    return performance.now() - begin;
  });
  return [
    `${count} programs`,
    megabytes(rss),
    `${(used / REST * 100).toFixed(2)} %`,
    milliseconds(median(latency)),
  ];
}

/** Measures and prints. `binary` is the compiled program. */
export async function benchFootprint(print: Print, binary: string): Promise<void> {
  const foreground = await startTimes(false);
  const detached = await startTimes(true);
  const row = (name: string, times: number[]) => [
    name,
    milliseconds(Math.min(...times)),
    milliseconds(median(times)),
    "150 ms",
  ];
  print(`binary: ${megabytes(Deno.statSync(binary).size)}\n`);
  print(table([
    ["start", "best", "median", "goal"],
    row("serve until the control socket answers", foreground),
    row("serve --detach until it returns", detached),
  ]));
  const rows = [["at rest (goal: 60 MB)", "resident", "processor", "status"]];
  for (const count of [0, 10, 100]) rows.push(await atRest(count));
  print(`\n${table(rows)}\n`);
  await measurePeers(print);
}
