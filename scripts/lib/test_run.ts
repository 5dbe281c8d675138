/**
 * One run of `deno test`, and what came of it.
 *
 * Invariant: the counts are those of the runner's own last line; a run that ends badly without
 * counting a failure (a type error, a crash, too much time) counts as one failed test. However it
 * ends, what it started ends with it.
 */

import { killGroup, plain } from "./run.ts";
import { ROOT } from "./project.ts";
import { killLeftovers, markedBy } from "../../tests/kit/leftovers.ts";

/** No run takes longer, milliseconds. */
const RUN_LIMIT = 15 * 60_000;

/** Environment variable by which everything that a run starts is known. */
const RUN_MARK = "TEST_RUN";

/** What came of a run. */
export interface Counts {
  passed: number;
  failed: number;
  ignored: number;
}

/** A run that ended. */
export interface TestRun extends Counts {
  /** Names of the test files with a failure, without `.ts`. */
  failing: string[];
}

/**
 * The counts in the output of `deno test`, by its last summary line.
 *
 * @param ok whether the run ended with code 0
 */
export function countsIn(output: string, ok: boolean): Counts {
  const text = plain(output);
  const summary = [...text.matchAll(/^(?:ok|FAILED) \| (\d+) passed.*$/gm)].at(-1);
  if (summary === undefined) return { passed: 0, failed: ok ? 0 : 1, ignored: 0 };
  const count = (word: string) =>
    Number(new RegExp(`\\| (\\d+) ${word}`).exec(` | ${summary[0]}`)?.[1] ?? 0);
  const failed = count("failed");
  return {
    passed: Number(summary[1]),
    failed: failed === 0 && !ok ? 1 : failed,
    ignored: count("ignored"),
  };
}

/** The files named in the list of failures at the end of the output. */
export function failingFiles(output: string): string[] {
  const text = plain(output);
  const list = text.slice(text.lastIndexOf("\n FAILURES \n") + 1);
  if (list === text) return [];
  return [...new Set([...list.matchAll(/([^/\s]+_test)\.ts\b/g)].map((match) => match[1]))];
}

/** Runs `deno test` with these arguments and shows its output as it comes. */
export async function testRun(args: string[], env: Record<string, string>): Promise<TestRun> {
  const mark = crypto.randomUUID();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--unstable-net", "--parallel", "--quiet", ...args],
    cwd: ROOT,
    env: { [RUN_MARK]: mark, ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : {}), ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    detached: true,
  }).spawn();
  const stop = () => {
    killGroup(child.pid);
    killLeftovers(markedBy(RUN_MARK, mark));
    Deno.exit(130);
  };
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGTERM", stop);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(child.pid);
  }, RUN_LIMIT);
  const shown = show(child.stdout);
  const { success } = await child.status;
  clearTimeout(timer);
  Deno.removeSignalListener("SIGINT", stop);
  Deno.removeSignalListener("SIGTERM", stop);
  const left = markedBy(RUN_MARK, mark);
  killLeftovers(left);
  // Only now: whatever was left running may have held the other end of the pipe.
  const output = await shown;
  for (const { pid, command } of left) console.error(`left running by tests: ${pid} ${command}`);
  if (late) {
    console.error(`\nthe tests were not done after ${RUN_LIMIT / 60_000} min and were ended`);
  }
  return { ...countsIn(output, success), failing: failingFiles(output) };
}

/** Shows everything as it comes. @returns all of it */
async function show(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.length;) at += await Deno.stdout.write(chunk.subarray(at));
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
