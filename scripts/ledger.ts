/**
 * `deno task ledger`: the proof that no job is lost. For each driver a producer pushes jobs, workers do
 * them, fail, crash and stall; the daemon is killed and started again, its broker restarted and killed,
 * releases are deployed; then every job is accounted for.
 *
 *   deno task ledger                          all drivers
 *   deno task ledger --driver redis           one; may be repeated
 *   deno task ledger --ids 20000 --seconds 60 how many jobs, pushed in how much time
 *   deno task ledger --seed 7                 the same choices again (their timing is the machine's)
 *   deno task ledger --at-once 2              drivers side by side
 *   deno task ledger --source                 the program from source instead of compiled
 *   SUPERVISOR_BIN=… deno task ledger         an existing program instead of a fresh build
 *
 * Invariant: the last line is `N passed, N failed`, a promise of a driver each; the exit code is 0 only
 * if something was checked and nothing failed.
 */

import { parseArgs } from "@std/cli/parse-args";
import { describe } from "./compile.ts";
import type { Verdict } from "./ledger/judge.ts";
import { DRIVERS } from "./ledger/places.ts";
import { keepLedger, type Run } from "./ledger/run.ts";
import { build } from "./lib/build.ts";

interface Options {
  drivers: string[];
  ids: number;
  seconds: number;
  seed: number;
  atOnce: number;
  source: boolean;
}

/** @throws Error for what cannot be meant */
function options(): Options {
  const args = parseArgs(Deno.args, {
    string: ["driver", "ids", "seconds", "seed", "at-once"],
    boolean: ["source"],
    collect: ["driver"],
    default: {
      ids: "20000",
      seconds: "60",
      seed: `${1 + crypto.getRandomValues(new Uint16Array(1))[0]}`,
      "at-once": "2",
    },
    unknown: (arg) => {
      throw new Error(`unknown option "${arg}"; see the head of scripts/ledger.ts`);
    },
  });
  const number = (name: "ids" | "seconds" | "seed" | "at-once") => {
    const value = Number(args[name]);
    if (Number.isInteger(value) && value > 0) return value;
    throw new Error(`--${name} "${args[name]}": a whole number above 0 is needed`);
  };
  const drivers = args.driver as string[];
  const unknown = drivers.find((driver) => !DRIVERS.includes(driver));
  if (unknown !== undefined) {
    throw new Error(`--driver "${unknown}": there are ${DRIVERS.join(", ")}`);
  }
  return {
    drivers: drivers.length > 0 ? drivers : [...DRIVERS],
    ids: number("ids"),
    seconds: number("seconds"),
    seed: number("seed"),
    atOnce: number("at-once"),
    source: args.source as boolean,
  };
}

async function programUnderTest(): Promise<void> {
  const built = await build({ onStart: (output) => console.log(`building ${output} …`) });
  console.log(describe(built));
  Deno.env.set("SUPERVISOR_BIN", built.path);
}

async function verdictsOf(run: Run): Promise<Verdict[]> {
  try {
    return await keepLedger(run);
  } catch (error) {
    return [{ promise: "the ledger is kept to its end", against: [(error as Error).message] }];
  }
}

function show(driver: string, verdicts: readonly Verdict[]): void {
  console.log(`\n--- ${driver}`);
  for (const { promise, against, note } of verdicts) {
    console.log(`${against.length === 0 ? "ok    " : "FAILED"} ${promise}`);
    if (note !== undefined) console.log(`       ${note}`);
    for (const line of against) console.log(`       ! ${line}`);
  }
}

async function main(): Promise<number> {
  let chosen;
  try {
    chosen = options();
  } catch (error) {
    console.error(`cannot keep a ledger: ${(error as Error).message}`);
    return 2;
  }
  const { drivers, ids, seconds, seed, atOnce, source } = chosen;
  if (!source && Deno.env.get("SUPERVISOR_BIN") === undefined) await programUnderTest();
  console.log(`${ids} jobs in ${seconds} s with --seed ${seed}: ${drivers.join(", ")} …`);
  const all: Verdict[] = [];
  const waiting = [...drivers];
  const one = async () => {
    for (let driver = waiting.shift(); driver !== undefined; driver = waiting.shift()) {
      const begin = performance.now();
      const verdicts = await verdictsOf({ driver, ids, seconds, seed });
      all.push(...verdicts);
      show(`${driver}, ${((performance.now() - begin) / 1000).toFixed(0)} s`, verdicts);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  const failed = all.filter(({ against }) => against.length > 0).length;
  console.log(`\n${all.length - failed} passed, ${failed} failed`);
  return failed === 0 && all.length > 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
