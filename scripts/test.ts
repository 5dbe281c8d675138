/**
 * `deno task test`: builds the program, then runs the unit tests, those of real brokers, and the tests
 * that drive the built program.
 *
 *   deno task test                        everything
 *   deno task test deploy rollback        test files whose name contains one of the words
 *   deno task test --unit | --brokers | --e2e    one kind only
 *   deno task test --filter "two at once" tests by name
 *   deno task test --source               the program from source instead of compiled
 *
 * Invariant: the last line is `N passed, N failed` from the real results; the exit code is 0 only if
 * something ran and nothing failed.
 */

import { parseArgs } from "@std/cli/parse-args";
import { basename, join } from "@std/path";
import { describe } from "./compile.ts";
import { build } from "./lib/build.ts";
import { CACHE, filesBelow, ROOT } from "./lib/project.ts";
import { type TestRun, testRun } from "./lib/test_run.ts";

const LOGS = join(CACHE, "test-logs");

/** How much of a daemon's output is shown when its test failed, characters. */
const LOG_SHOWN = 6_000;

/** Tests of other programs mostly wait for them, so more of them than cores run at once. */
const WAITING = { DENO_JOBS: `${navigator.hardwareConcurrency * 2}` };

const KINDS = ["unit", "brokers", "e2e"] as const;
type Kind = typeof KINDS[number];

/** Test files below a folder whose name contains one of the words (no words: all). */
function testFiles(folder: string, words: string[]): string[] {
  return filesBelow(join(ROOT, folder)).filter((file) =>
    file.endsWith("_test.ts") &&
    (words.length === 0 || words.some((word) => file.slice(ROOT.length).includes(word)))
  );
}

/** Shows what the daemons of failed test files had to say. */
function showLogs(failing: string[]): void {
  for (const log of filesBelow(LOGS)) {
    if (!failing.some((file) => basename(log).startsWith(`${file}-`))) continue;
    console.error(`\n--- ${log}\n${Deno.readTextFileSync(log).slice(-LOG_SHOWN)}`);
  }
}

/** Builds the program under test. @returns environment for the tests */
async function programUnderTest(source: boolean): Promise<Record<string, string>> {
  if (source) return {};
  try {
    const built = await build({ onStart: (output) => console.log(`building ${output} …`) });
    console.log(describe(built));
    return { SUPERVISOR_BIN: built.path };
  } catch (error) {
    console.error(`\nATTENTION: tests run the program from source, because it cannot be compiled:`);
    console.error(`${(error as Error).message}\n`);
    return {};
  }
}

async function main(): Promise<number> {
  const args = parseArgs(Deno.args, {
    boolean: ["unit", "brokers", "e2e", "source"],
    string: ["filter"],
    unknown: (arg) => {
      if (!arg.startsWith("-")) return true;
      console.error(`cannot run tests: unknown option "${arg}"; see the head of scripts/test.ts`);
      Deno.exit(2);
    },
  });
  const words = args._.map(String);
  const filter = args.filter === undefined ? [] : [`--filter=${args.filter}`];
  const kinds = KINDS.filter((kind) => args[kind]);
  const files = (kind: Kind) =>
    kinds.length === 0 || kinds.includes(kind) ? testFiles(`tests/${kind}`, words) : [];
  const [unit, brokers, e2e] = KINDS.map(files);

  const runs: TestRun[] = [];
  if (unit.length > 0) runs.push(await testRun([...filter, ...unit], {}));
  if (brokers.length > 0) runs.push(await testRun([...filter, ...brokers], WAITING));
  if (e2e.length > 0) {
    Deno.mkdirSync(LOGS, { recursive: true });
    for (const log of filesBelow(LOGS)) Deno.removeSync(log);
    const env = { ...WAITING, ...await programUnderTest(args.source as boolean) };
    const run = await testRun([...filter, ...e2e], env);
    showLogs(run.failing);
    runs.push(run);
  }
  const sum = (key: "passed" | "failed" | "ignored") =>
    runs.reduce((total, run) => total + run[key], 0);
  if (sum("ignored") > 0) console.log(`${sum("ignored")} ignored`);
  if (sum("passed") + sum("failed") === 0) console.error("no test ran");
  console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
  return sum("failed") === 0 && sum("passed") > 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
