/**
 * Keeps standard output for frames: whatever else prints there would be taken for one, and end the
 * worker.
 *
 * Invariant: once taken, `console`, `process.stdout` and `Deno.stdout` write to standard error, and
 * only the returned function reaches standard output.
 */

import { Console } from "node:console";
import process from "node:process";
import type { Writable } from "node:stream";

/**
 * Sends bytes, whole and in order; resolves when they are on their way. With `more`, more of the
 * same answer follows and the reader may be slow.
 */
export type Send = (bytes: Uint8Array, more: boolean) => Promise<void>;

/** What Deno has beside `process`; absent on Node. */
interface DenoOutput {
  stdout: DenoWriter;
  stderr: DenoWriter;
}
interface DenoWriter {
  readonly writable: WritableStream<Uint8Array>;
  write(bytes: Uint8Array): Promise<number>;
  writeSync(bytes: Uint8Array): number;
}

type NodeWrite = (bytes: Uint8Array, done: (error?: Error | null) => void) => boolean;

/** A pipe takes so much in one piece, and an answer that is read at once never fills it. */
const AT_ONCE = 4096;

let taken: Send | undefined;

/** Takes standard output; later calls return the same. */
export function takeStdout(): Send {
  return taken ??= take();
}

/** Sends through one of Node's streams. */
export function sendThrough(stream: Writable): Send {
  // The stream's own, also when it is replaced later.
  const write = stream.write.bind(stream) as NodeWrite;
  // Whoever writes is told by the end of the write.
  stream.on("error", () => {});
  return (bytes) =>
    new Promise((resolve, reject) => {
      write(bytes, (error) => error ? reject(error) : resolve());
    });
}

function take(): Send {
  const { stdout, stderr } = process;
  const { Deno } = globalThis as unknown as { Deno?: DenoOutput };
  const send = Deno === undefined
    ? sendThrough(stdout)
    : sendByDeno(Deno.stdout.write.bind(Deno.stdout), Deno.stdout.writeSync.bind(Deno.stdout));
  stdout.write = stderr.write.bind(stderr) as typeof stdout.write;
  globalThis.console = new Console({ stdout: stderr, stderr });
  if (Deno !== undefined) {
    Deno.stdout.write = (bytes) => Deno.stderr.write(bytes);
    Deno.stdout.writeSync = (bytes) => Deno.stderr.writeSync(bytes);
    Object.defineProperty(Deno.stdout, "writable", { get: () => Deno.stderr.writable });
  }
  return send;
}

/** Deno's `process.stdout` writes through what we have replaced. */
function sendByDeno(write: DenoWriter["write"], writeSync: DenoWriter["writeSync"]): Send {
  return async (bytes, more) => {
    let at = 0;
    if (!more && bytes.length <= AT_ONCE) at = writeSync(bytes);
    while (at < bytes.length) at += await write(bytes.subarray(at));
  };
}
