/**
 * `deno task bench [NAME…]`: all measurements, or the named ones, with a fresh build. See
 * docs/benchmarks.md.
 *
 * Invariant: nothing is asserted: figures depend on the machine. Ratios of one run say more.
 */

import { build } from "../lib/build.ts";
import { benchDeploy } from "./deploy.ts";
import { benchFootprint } from "./footprint.ts";
import { benchForward } from "./forward.ts";
import { benchJobs } from "./jobs.ts";
import { benchPool } from "./pool.ts";
import { benchRecovery } from "./recovery.ts";
import type { Print } from "./report.ts";

const FORWARD_SECONDS = 3;

const benches: Record<string, (print: Print, binary: string) => Promise<unknown>> = {
  forward: (print) => benchForward({ seconds: FORWARD_SECONDS }, print),
  deploy: benchDeploy,
  footprint: benchFootprint,
  recovery: benchRecovery,
  pool: benchPool,
  jobs: benchJobs,
};

async function main(names: string[]): Promise<number> {
  const unknown = names.find((name) => !Object.hasOwn(benches, name));
  if (unknown !== undefined) {
    const known = Object.keys(benches).join(", ");
    console.error(`there is no benchmark "${unknown}"; there are: ${known}`);
    return 2;
  }
  const binary = Deno.env.get("SUPERVISOR_BIN") ?? (await build()).path;
  Deno.env.set("SUPERVISOR_BIN", binary);
  const { release, cores, load } = {
    release: Deno.osRelease(),
    cores: navigator.hardwareConcurrency,
    load: Deno.loadavg()[0].toFixed(1),
  };
  console.log(`${new Date().toISOString()}, Linux ${release}, ${cores} cores, load ${load}`);
  for (const name of names.length > 0 ? names : Object.keys(benches)) {
    console.log(`\n=== ${name}`);
    await benches[name]((text) => console.log(text), binary);
  }
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
