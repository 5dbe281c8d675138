/**
 * A command that runs beside the test, such as `logs -f`.
 *
 *   await using logs = new Following(d.command("logs", "-f"));
 *   await logs.shows("listening");
 *
 * Invariant: it does not outlive its scope.
 */

import { soon, until } from "./wait.ts";

/** What to start. */
export interface FollowingOptions {
  argv: string[];
  cwd: string;
  env: Record<string, string>;
}

/** A running command whose output is collected. */
export class Following implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<number>;
  stdout = "";
  stderr = "";

  constructor({ argv: [name, ...args], cwd, env }: FollowingOptions) {
    const stdio = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
    this.#child = new Deno.Command(name, { args, cwd, env, ...stdio }).spawn();
    this.#ended = this.#collect();
  }

  async #collect(): Promise<number> {
    const { stdout, stderr, status } = this.#child;
    const [{ code }] = await Promise.all([
      status,
      read(stdout, (text) => this.stdout += text),
      read(stderr, (text) => this.stderr += text),
    ]);
    return code;
  }

  /** Waits for text on stdout. */
  shows(text: string): Promise<boolean> {
    return until(`"${text}" on stdout`, () => this.stdout.includes(text));
  }

  /** Waits for its end. @returns its exit code */
  ended(): Promise<number> {
    return soon("the end of a command", this.#ended);
  }

  /** Ctrl-C. @returns its exit code */
  interrupt(): Promise<number> {
    this.#child.kill("SIGINT");
    return this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#ended;
  }
}

async function read(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}
