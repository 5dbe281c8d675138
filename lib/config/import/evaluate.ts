/**
 * The value of somebody's JavaScript file, found out by another process of our own program.
 *
 * | what the file does                   | what the caller gets                         |
 * | ------------------------------------ | -------------------------------------------- |
 * | exports a value that JSON can hold   | the value                                    |
 * | throws, asks for a right it lacks    | Failure with the reason                      |
 * | runs for longer than 5 s             | Failure; it is killed                        |
 * | prints or exports more than 1 MB     | Failure; it is killed                        |
 * | ends the process                     | Failure                                      |
 *
 * Invariant: nothing the file does reaches this process, its environment or the network.
 */

import { dirname } from "@std/path";
import type { Clock } from "../../core/clock.ts";
import { formatDuration } from "../../core/duration.ts";
import { Exit, Failure } from "../../core/failure.ts";
import { capture } from "../../os/capture.ts";
import { ANSWER, type Answer } from "./evaluated.ts";

/** Milliseconds. */
const TIME = 5_000;
/** Bytes. */
const SIZE = 1_000_000;

/** What the runtime needs to find its own parts again when it runs from source. */
const KEPT = ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "PATH", "TMPDIR"];

/** Nobody listens there: modules cannot be fetched from elsewhere. */
const NOWHERE = "http://127.0.0.1:1";

/** How to start the evaluation. */
export interface Evaluator {
  /** The command line to which the path of the file is added. */
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  clock: Clock;
}

/** @param file absolute path. @throws Failure (exit 3) */
export async function evaluate(file: string, { argv, env, clock }: Evaluator): Promise<unknown> {
  const kept = KEPT.flatMap((name) => env[name] === undefined ? [] : [[name, env[name]]]);
  const { ended, code, stdout } = await capture({
    argv: [...argv, file],
    cwd: dirname(file),
    env: {
      ...Object.fromEntries(kept),
      NO_COLOR: "1",
      DENO_NO_PROMPT: "1",
      HTTP_PROXY: NOWHERE,
      HTTPS_PROXY: NOWHERE,
    },
    time: TIME,
    size: SIZE,
  }, clock);
  const refuse = (why: string, fix: string) =>
    new Failure(`cannot import "${file}": it ${why}`, { exit: Exit.config, fix });
  if (ended === "time") {
    throw refuse(`did not end within ${formatDuration(TIME)}`, "take out what it waits for");
  }
  if (ended === "size") {
    throw refuse(`has more than ${SIZE} bytes to say`, "check that this is the right file");
  }
  const answer = answerIn(stdout);
  if (answer === undefined) {
    const how = code === null ? "was killed" : `ended with code ${code}`;
    throw refuse(`${how} before its value was known`, "take out what ends the process");
  }
  if ("problem" in answer) throw refuse(answer.problem, answer.fix);
  return answer.value;
}

/** The last line that is an answer; the file may have printed whatever it likes. */
function answerIn(stdout: string): Answer | undefined {
  const line = stdout.split("\n").findLast((line) => line.startsWith(ANSWER));
  try {
    return line === undefined ? undefined : JSON.parse(line.slice(ANSWER.length));
  } catch {
    return undefined; // the file's own words in the place of an answer: it ended before there was one
  }
}
