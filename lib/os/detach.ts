/**
 * Starts a program that outlives us, and hears its first word.
 *
 * The program gets a session of its own, stdin from /dev/null, stderr appended to a log, and for
 * stdout a pipe to us on which it says one line when it is up. The shell in between opens the log and
 * then becomes the program; until then its stderr is ours, so that a log that cannot be opened is
 * seen.
 *
 * | what happens                        | what the caller sees                          |
 * | ----------------------------------- | --------------------------------------------- |
 * | it says its line                    | `line` resolves with it                       |
 * | it ends, or closes stdout, before   | `line` resolves with undefined; then `ended`  |
 * | it says too much without a line end | `line` resolves with undefined                |
 *
 * Invariant: after letGo() nothing of it keeps us alive, and nothing we do reaches it.
 */

import type { ExitStatus } from "./system.ts";

/** Longest first line, bytes. */
const MAX_LINE = 256 * 1024;

const SCRIPT = 'exec 2>>"$1"; shift; exec "$@"';

/** A started program that may outlive us. */
export interface Detached {
  readonly pid: number;
  /** Its first line without the newline. */
  readonly line: Promise<string | undefined>;
  /** How it ended; never rejects. */
  readonly ended: Promise<ExitStatus>;
  /** Sends it a signal; false: it has ended. */
  signal(name: Deno.Signal): boolean;
  /** Lets go of it: we may end, it stays. Waiting for `ended` does not keep us alive any more. */
  letGo(): Promise<void>;
}

/**
 * @param argv program and arguments
 * @param env added to our own environment
 * @param log file its stderr is appended to; must exist
 * @throws what Deno throws when there is no /bin/sh
 */
export function detach(argv: string[], env: Record<string, string>, log: string): Detached {
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", SCRIPT, "sh", log, ...argv],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    detached: true,
  }).spawn();
  const reader = child.stdout.getReader();
  const ended = child.status.then(
    ({ code, signal }) => signal === null ? { code, signal } : { code: null, signal },
    // Killed by a real-time signal: the runtime cannot name it.
    () => ({ code: null, signal: null }),
  );
  return {
    pid: child.pid,
    line: firstLine(reader),
    ended,
    signal(name) {
      try {
        child.kill(name);
        return true;
      } catch {
        return false; // it has ended, which is what false says
      }
    },
    async letGo() {
      child.unref();
      await reader.cancel();
    },
  };
}

async function firstLine(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = "";
  while (text.length < MAX_LINE) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    text += decoder.decode(value, { stream: true });
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  return undefined;
}
