/**
 * Runs a program to its end and collects what it said.
 *
 * Invariant: a program is never waited for longer than its limit; after the limit it and everything
 * it started are killed (it leads its own process group).
 */

/** How a program ended. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
  /** True when it was killed because `limit` or `signal` ended it. */
  cut: boolean;
}

/** Options of {@linkcode run}. */
export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Milliseconds. */
  limit?: number;
  signal?: AbortSignal;
}

/**
 * Runs `argv` without a shell.
 *
 * @throws Deno.errors.NotFound when there is no such program
 */
export async function run(argv: string[], options: RunOptions = {}): Promise<Outcome> {
  const [program, ...args] = argv;
  const child = new Deno.Command(program, {
    args,
    cwd: options.cwd,
    env: options.env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  let cut = false;
  const end = () => {
    cut = true;
    killGroup(child.pid);
  };
  const timer = options.limit === undefined ? undefined : setTimeout(end, options.limit);
  if (options.signal?.aborted) end();
  options.signal?.addEventListener("abort", end, { once: true });
  try {
    const [stdout, stderr, status] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.status,
    ]);
    return { code: status.code, stdout, stderr, cut };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", end);
  }
}

/** Kills a whole process group; nothing happens when it is gone already. */
export function killGroup(leader: number, signal: Deno.Signal = "SIGKILL"): void {
  try {
    Deno.kill(-leader, signal);
  } catch (error) {
    // ESRCH: it ended by itself, which is what we want.
    if (!(error instanceof Deno.errors.NotFound) && (error as { code?: string }).code !== "ESRCH") {
      throw error;
    }
  }
}

/** What Deno's own tools said went wrong: without colours and without the trace of their insides. */
export function complaint(stderr: string): string {
  return plain(stderr).split("\nStack backtrace:")[0].trim();
}

/** Text without the colours and cursor movements that programs put into it. */
export function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "");
}
