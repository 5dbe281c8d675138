/** A directory, an Output on it, and real programs that print into it. */

import { realClock } from "../../../lib/os/clock.ts";
import { openOutput, type Output, type OutputOptions } from "../../../lib/process/output.ts";
import type { LogRecord } from "../../../lib/process/log_record.ts";
import type { LogStoreQuery } from "../../../lib/process/log_store.ts";
import type { OutputRun } from "../../../lib/process/types.ts";
import type { EventName } from "../../../lib/telemetry/events.ts";
import { soon } from "../../kit/wait.ts";

export interface Told {
  event: EventName;
  data: Record<string, unknown>;
}

/** Everything a test of output needs; removed with `await using`. */
export class Scene implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "output" });
  readonly told: Told[] = [];
  readonly #opened: Output[] = [];

  get logs(): string {
    return `${this.directory}/log`;
  }

  get spools(): string {
    return `${this.directory}/log/spool`;
  }

  open(options: Partial<OutputOptions> = {}): Output {
    const output = openOutput({
      log_dir: this.logs,
      spool_dir: this.spools,
      clock: realClock,
      emit: (event, data) => this.told.push({ event, data: { ...data } }),
      ...options,
    });
    this.#opened.push(output);
    return output;
  }

  events(name: EventName): Record<string, unknown>[] {
    return this.told.filter(({ event }) => event === name).map(({ data }) => data);
  }

  /** Names of what is left in the spool directory. */
  left(): string[] {
    return [this.spools, `${this.spools}/runs`].flatMap((path) =>
      Array.from(Deno.readDirSync(path)).filter((entry) => entry.isFile).map(({ name }) => name)
    ).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const output of this.#opened) await output[Symbol.asyncDispose]();
    Deno.removeSync(this.directory, { recursive: true });
  }
}

/** Starts `script` with its output in the files of `run`, as the daemon does. */
export function start(run: Pick<OutputRun, "files">, script: string): Deno.ChildProcess {
  return new Deno.Command("/bin/sh", {
    args: ["-c", 'exec /bin/sh -c "$SCRIPT" >>"$OUT" 2>>"$ERR"'],
    env: { SCRIPT: script, OUT: run.files.stdout, ERR: run.files.stderr },
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
}

/** Runs `script` to its end and its output into the log. */
export async function runToEnd(run: OutputRun, script: string): Promise<void> {
  await start(run, script).status;
  run.end();
  await run.settle();
}

/** Resolves when `line` is in the log, as its newest line now or as one that comes. */
export async function seen(output: Output, line: string): Promise<void> {
  const end = new AbortController();
  const come = async () => {
    // A follower that is too slow is dropped, and asks again.
    while (!end.signal.aborted) {
      // With no line of the past, one that is there before the query begins would never be seen.
      const coming = output.store.query({ lines: 1, follow: true }, end.signal);
      for await (const record of coming) if (record.line === line) return;
    }
  };
  try {
    await soon(`the line ${line}`, come());
  } finally {
    end.abort();
  }
}

/** All records of a query. */
export async function read(output: Output, query: LogStoreQuery = {}): Promise<LogRecord[]> {
  return await Array.fromAsync(output.store.query({ since: 0, ...query }));
}

/** The lines of a query. */
export async function lines(output: Output, query: LogStoreQuery = {}): Promise<string[]> {
  return (await read(output, query)).map(({ line }) => line);
}
