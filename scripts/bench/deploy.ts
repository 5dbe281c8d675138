/**
 * Deploys under load: what clients notice of 20 of them, and how long they take.
 *
 * Invariant: every request is counted; failed ones are shown, not explained away.
 */

import { startDaemon } from "../../tests/kit/daemon.ts";
import { deploy } from "../../tests/kit/deploying.ts";
import { startLoad } from "../../tests/kit/load.ts";
import { webProcess } from "../../tests/kit/programs.ts";
import { median, milliseconds, type Print, table } from "./report.ts";

const DEPLOYS = 20;

/** Measures and prints. */
export async function benchDeploy(print: Print): Promise<void> {
  await using d = await startDaemon(
    { config: { proxy: { drain_timeout: "5s" }, processes: { web: webProcess() } } },
    "bench-deploy.log",
  );
  await deploy(d, "v0").live();
  const loads = [
    startLoad({ port: d.port, connections: 8, every: 1 }),
    startLoad({ port: d.port, connections: 2, mode: "close", every: 2 }),
  ];
  const total: number[] = [];
  for (let i = 1; i <= DEPLOYS; i++) total.push((await deploy(d, `v${i}`).live()).ms);
  const reports = await Promise.all(loads.map((load) => load.stop()));
  const switches = (await d.events()).filter(({ event }) => event === "traffic_switched")
    .map(({ data }) => data.ms as number);
  const sum = (of: "ok" | "failed") => reports.reduce((all, report) => all + report[of], 0);
  print(table([
    [`${DEPLOYS} deploys under load`, "", "goal"],
    ["requests answered", `${sum("ok")}`, ""],
    ["requests failed", `${sum("failed")}`, "0"],
    ["slowest request", milliseconds(Math.max(...reports.map(({ slowest }) => slowest))), ""],
    ["switch, median", milliseconds(median(switches)), "< 1 ms"],
    ["switch, longest", milliseconds(Math.max(...switches)), "< 1 ms"],
    ["deploy, median (start of the program included)", milliseconds(median(total)), ""],
  ]));
  for (const report of reports) for (const failure of report.failures) print(`  ${failure}`);
}
