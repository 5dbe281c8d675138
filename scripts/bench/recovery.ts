/**
 * How fast everything is back: a program after its crash, the proxy after a kill of the daemon.
 *
 * Invariant: crashes are SIGKILLs from outside; time runs from the signal to what a client sees.
 */

import { startDaemon } from "../../tests/kit/daemon.ts";
import { deploy } from "../../tests/kit/deploying.ts";
import { program, webProcess } from "../../tests/kit/programs.ts";
import { until } from "../../tests/kit/wait.ts";
import { median, milliseconds, type Print, repeat, table } from "./report.ts";

const CRASHES = 20;
const KILLS = 5;

/** Waits for `look` without a pause that would stand in the figure. */
async function soonest<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + 30_000;
  while (performance.now() < end) {
    const value = await look().catch(() => undefined);
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`waited in vain: ${what}`);
}

/** Measures and prints. */
export async function benchRecovery(print: Print): Promise<void> {
  const restart = { delay: "0s" };
  await using d = await startDaemon({
    config: {
      proxy: {},
      processes: {
        web: webProcess({ restart }),
        beat: { command: program("worker.sh"), restart },
      },
    },
  }, "bench-recovery.log");
  await deploy(d, "v1").live();
  const beat = async () => {
    const { releases } = await d.status();
    return releases.flatMap(({ processes }) => processes)
      .find(({ process_id }) => process_id === "beat");
  };
  const crashes = await repeat(CRASHES, async () => {
    const pid = await until("a healthy program", async () => {
      const { healthy, pid } = await beat() ?? {};
      return healthy ? pid : undefined;
    });
    const begin = performance.now();
    Deno.kill(pid, "SIGKILL");
    await soonest("a new pid", async () => {
      const next = (await beat())?.pid;
      return next !== pid ? next : undefined;
    });
    return performance.now() - begin;
  });
  const kills = await repeat(KILLS, async () => {
    const begin = performance.now();
    d.kill("SIGKILL");
    await d.ended();
    d.launch();
    await soonest("an answer", async () => (await d.get()).status === 200 ? true : undefined);
    return performance.now() - begin;
  });
  await until("the control socket", async () => (await d.status()).state === "running");
  const row = (name: string, times: number[]) => [
    name,
    milliseconds(Math.min(...times)),
    milliseconds(median(times)),
    milliseconds(Math.max(...times)),
  ];
  print(table([
    ["recovery", "best", "median", "worst"],
    row("crash of a program to its next pid (no delay)", crashes),
    row("SIGKILL of the daemon, new daemon to first answer", kills),
  ]));
}
