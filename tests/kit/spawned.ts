/**
 * A fixture running by itself, without the daemon: for tests of the kit, the proxy, the benchmarks.
 *
 * Invariant: gone, with its whole group, when its scope ends.
 */

import { program } from "./programs.ts";
import { leftoversOf, MARK } from "./leftovers.ts";
import { Scratch } from "./scratch.ts";
import { soon, until } from "./wait.ts";

/** A running program with a scratch directory as its working directory. */
export class Spawned implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly #child: Deno.ChildProcess;
  readonly #status: Promise<Deno.CommandStatus>;

  constructor(argv: string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command("/bin/sh", {
      args: ["-c", 'exec "$@" >>"$OUT" 2>&1', "sh", ...argv],
      cwd: this.scratch.dir,
      env: { ...env, OUT: this.scratch.path("out"), [MARK]: this.scratch.dir },
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#status = this.#child.status;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** What it printed so far. */
  output(): string {
    return this.scratch.read("out") ?? "";
  }

  /** Waits until it printed something that matches. */
  printed(pattern: RegExp): Promise<RegExpExecArray> {
    return until(`output ${pattern}`, () => pattern.exec(this.output()) ?? undefined);
  }

  /** How it ends; bounded. */
  ended(): Promise<Deno.CommandStatus> {
    return soon("the end of a program", this.#status);
  }

  kill(signal: Deno.Signal): void {
    Deno.kill(this.pid, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its group first, then whoever left the group.
    for (const pid of [-this.pid, ...leftoversOf(this.scratch.dir).map((left) => left.pid)]) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // Ended by itself.
      }
    }
    await this.ended();
    this.scratch[Symbol.dispose]();
  }
}

/** fixtures/web.mjs on a port of the system's choice; resolves when it listens. */
export async function spawnWeb(
  settings: Record<string, string | number> = {},
): Promise<Spawned & { port: number }> {
  const env = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`WEB_${name.toUpperCase()}`, String(value)]),
  );
  const spawned = new Spawned(program("web.mjs", "--port", "0"), env);
  try {
    const [, port] = await spawned.printed(/listens on [^ ]*:(\d+)\n/);
    return Object.assign(spawned, { port: Number(port) });
  } catch (error) {
    const output = spawned.output();
    await spawned[Symbol.asyncDispose]();
    throw new Error(`fixtures/web.mjs did not start: ${(error as Error).message}\n${output}`);
  }
}
