/**
 * One call of a tool of the system (`screen`, `supervisorctl`), with everything it says.
 *
 * | what happens                     | what the caller gets                                |
 * | -------------------------------- | --------------------------------------------------- |
 * | there is no such program         | undefined                                           |
 * | it ends                          | code and output                                     |
 * | it does not end in time          | code null; its group is killed                      |
 * | it says more than is kept        | the beginning; it is read on, so it is not held up  |
 *
 * Invariant: bounded in time and memory; the tool speaks English and asks nobody anything.
 */

import { type Clock, within } from "../core/clock.ts";
import { Failure } from "../core/failure.ts";
import { reasonOf } from "./reason.ts";

/** Output kept of each stream, bytes. */
const KEPT = 256 * 1024;

/** How a tool ended. */
export interface ToolEnd {
  /** Null: by a signal, or it did not end in time. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a tool to its end. @throws Failure when it is there but cannot be started */
export async function runTool(
  argv: readonly string[],
  ms: number,
  clock: Clock,
): Promise<ToolEnd | undefined> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(argv[0], {
      args: argv.slice(1),
      env: { LC_ALL: "C" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new Failure(`cannot run "${argv.join(" ")}": ${reasonOf(error)}`, { cause: error });
  }
  const [stdout, stderr] = [new Kept(child.stdout), new Kept(child.stderr)];
  // Its streams may be held open by what it left in the background: its own end is what counts.
  const ended = await within(clock, ms, child.status);
  if (!ended.done) {
    try {
      Deno.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended between the two lines.
    }
    await child.status;
  }
  const texts = { stdout: await stdout.end(clock), stderr: await stderr.end(clock) };
  const code = ended.done && ended.value.signal === null ? ended.value.code : null;
  return { code, ...texts };
}

/** How long a stream is read on after the tool's end, milliseconds. */
const REST = 500;

/** The beginning of a stream. */
class Kept {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #read: Promise<void>;
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.#read = this.#readOn();
  }

  /** What came until now, and what comes at once. */
  async end(clock: Clock): Promise<string> {
    await within(clock, REST, this.#read);
    await this.#reader.cancel();
    return this.#text;
  }

  async #readOn(): Promise<void> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) return;
      if (this.#text.length < KEPT) this.#text += this.#decoder.decode(value, { stream: true });
    }
  }
}
