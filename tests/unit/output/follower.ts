/**
 * A process that follows output and can be told to die by SIGKILL at an exact step.
 *
 * Arguments: directory, number of the step (0: never), "before" | "half" | "after" that step. Steps are
 * the asynchronous writes and renames, which is all that changes what a successor finds. "half": a log
 * write that is torn in the middle; the step is counted over log writes then.
 *
 * What it finds it recovers as the output of dead programs; if there is nothing it makes a run and
 * prints PRINTED lines to each stream. It ends by itself when everything is read. With "live" as the
 * mode it takes the program for alive and follows until it is killed.
 */

import { realClock } from "../../../lib/os/clock.ts";
import { openOutput } from "../../../lib/process/output.ts";
import { INTENT_BYTES } from "../../../lib/process/spool_position.ts";

/** Lines on each stream. */
export const PRINTED = 3000;
/** Small batches and files, so that there are many steps. */
export const LIMITS = {
  turn_lines: 150,
  rotation: { bytes: 30_000, files: 100 },
  free_step: 64 * 1024,
};

if (import.meta.main) {
  const [directory, step, mode] = Deno.args;
  dieAt(Number(step), mode);
  const output = openOutput({
    log_dir: directory,
    spool_dir: `${directory}/spool`,
    clock: realClock,
    emit: () => {},
    limits: LIMITS,
  });
  const fresh = Array.from(Deno.readDirSync(`${directory}/spool`)).length === 0;
  if (fresh) {
    const run = output.sink.open({ instance: "web", id: "web" }, 5);
    const text = Array.from({ length: PRINTED }, (_, i) => `${i + 1}\n`).join("");
    Deno.writeTextFileSync(run.files.stdout, text);
    Deno.writeTextFileSync(run.files.stderr, text);
    run.end();
  } else output.recover(() => mode === "live");
  if (mode === "live") await new Promise(() => {});
  await output.settle();
  await output[Symbol.asyncDispose]();
}

function dieAt(step: number, mode: string): void {
  const write = Deno.FsFile.prototype.write;
  const rename = Deno.rename;
  let count = 0;
  Deno.FsFile.prototype.write = function (bytes) {
    if (mode !== "half") return dying(() => write.call(this, bytes));
    if (bytes.length === INTENT_BYTES || ++count !== step) return write.call(this, bytes);
    return write.call(this, bytes.subarray(0, bytes.length / 2)).then(die);
  };
  Deno.rename = (from, to) => exists(from) ? dying(() => rename(from, to)) : rename(from, to);

  function dying<T>(act: () => Promise<T>): Promise<T> {
    if (mode === "half" || ++count !== step) return act();
    return mode === "before" ? die() : act().then(die);
  }
}

/** Renaming what is not there is no step. */
function exists(path: string | URL): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function die(): never {
  Deno.kill(Deno.pid, "SIGKILL");
  throw new Error("unreachable");
}
