/**
 * Runs a program to its end and takes what it prints, within a time and a size.
 *
 * | what happens                        | what the caller gets                         |
 * | ----------------------------------- | -------------------------------------------- |
 * | it ends by itself                   | `ended: "itself"`, its exit and its output   |
 * | time is over                        | `ended: "time"`, its group is killed         |
 * | it prints more than the limit       | `ended: "size"`, its group is killed         |
 *
 * Invariant: when this returns, the program has ended; of stdout and stderr never more than the limit
 * each is kept.
 */

import type { Clock, Timer } from "../core/clock.ts";

/** How a program is run. */
export interface CaptureRequest {
  argv: readonly string[];
  cwd: string;
  /** Its whole environment. */
  env: Record<string, string>;
  /** Milliseconds. */
  time: number;
  /** Bytes of stdout, and of stderr. */
  size: number;
}

/** How it went. */
export interface Captured {
  ended: "itself" | "time" | "size";
  /** null: by a signal. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** @throws what Deno throws when the program cannot be started */
export async function capture(request: CaptureRequest, clock: Clock): Promise<Captured> {
  const [program, ...args] = request.argv;
  const child = new Deno.Command(program, {
    args,
    cwd: request.cwd,
    env: request.env,
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    // A group of its own: what it starts ends with it.
    detached: true,
  }).spawn();
  let ended: Captured["ended"] = "itself";
  const end = (why: "time" | "size") => {
    if (ended !== "itself") return;
    ended = why;
    kill(child.pid);
  };
  const timer: Timer = clock.timer(request.time, () => end("time"));
  try {
    const [stdout, stderr, code] = await Promise.all([
      text(child.stdout, request.size, () => end("size")),
      text(child.stderr, request.size, () => end("size")),
      child.status.then(
        ({ code, signal }) => signal === null ? code : null,
        () => null, // killed by a real-time signal, which the runtime cannot name
      ),
    ]);
    return { ended, code, stdout, stderr };
  } finally {
    timer.cancel();
  }
}

function kill(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // It has just ended, which is what was wanted.
  }
}

async function text(
  stream: ReadableStream<Uint8Array>,
  limit: number,
  over: () => void,
): Promise<string> {
  const decoder = new TextDecoder();
  let kept = "";
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > limit) over();
    else kept += decoder.decode(chunk, { stream: true });
  }
  return kept;
}
