/**
 * `deno task build`: compiles ./supervisor, says which runtime image it stands on, how big it is
 * and how fast it starts. See docs/building.md.
 *
 * Invariant: an image that is not the official one never goes unmentioned.
 */

import { parseArgs } from "@std/cli/parse-args";
import { resolve } from "@std/path";
import { build, type Built } from "./lib/build.ts";
import { run } from "./lib/run.ts";

/** Start-up is measured this many times; the best counts, the others met other work. */
const MEASUREMENTS = 5;

const USAGE = `Usage: deno task build [--target TRIPLE] [--output FILE] [--official] [--force]

  --target    x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu; default this machine
  --output    where to; default ./supervisor
  --official  use the official runtime image or fail (release builds)
  --force     build even if nothing changed

DENORT_BIN=FILE gives the runtime image by hand.`;

/** Best time of `binary version`, milliseconds. @throws Error when it does not work */
async function startUp(binary: string): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < MEASUREMENTS; i++) {
    const begin = performance.now();
    const { code, stderr } = await run([binary, "version"], { limit: 10_000 });
    if (code !== 0) throw new Error(`${binary} version ended with code ${code}:\n${stderr}`);
    best = Math.min(best, performance.now() - begin);
  }
  return best;
}

/** Says what was built on what. */
export function describe(built: Built): string {
  const size = `${(built.bytes / 1_000_000).toFixed(1)} MB`;
  const state = built.fresh ? "built" : "up to date";
  const image = `runtime image: ${built.note}`;
  const caution = built.image === "npm"
    ? "\n(the same image by its checksum, fit for development and tests; release builds use --official)"
    : "";
  return `${built.path} ${state}, ${size}\n${image}${caution}`;
}

async function main(): Promise<number> {
  const args = parseArgs(Deno.args, {
    boolean: ["official", "force", "help"],
    string: ["target", "output"],
    unknown: (arg) => {
      console.error(`cannot build: unknown argument "${arg}"\n\n${USAGE}`);
      Deno.exit(2);
    },
  });
  if (args.help) {
    console.log(USAGE);
    return 0;
  }
  const target = args.target as string | undefined;
  try {
    const built = await build({
      target,
      output: args.output === undefined ? undefined : resolve(args.output as string),
      official: args.official as boolean,
      force: args.force as boolean,
      onStart: (output, target) => console.log(`building ${output} for ${target} …`),
    });
    console.log(describe(built));
    if (target === undefined || target === Deno.build.target) {
      console.log(
        `start-up: ${(await startUp(built.path)).toFixed(0)} ms (best of ${MEASUREMENTS})`,
      );
    }
    return 0;
  } catch (error) {
    console.error(`cannot build: ${(error as Error).message}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());
