/**
 * An earlier setup, for tests of taking it over: programs that nobody of ours started.
 *
 * Invariant: everything bears the mark of the test's directory in its environment, and is gone when
 * the scope ends.
 */

import { killLeftovers, leftoversOf, MARK } from "./leftovers.ts";
import { until } from "./wait.ts";

/** Programs of an earlier setup. */
export class Legacy implements AsyncDisposable {
  readonly #children: Deno.ChildProcess[] = [];

  /** @param dir the test's scratch directory */
  constructor(readonly dir: string) {}

  /** Starts a program in a session of its own. @returns its pid */
  start(...argv: string[]): number {
    const child = new Deno.Command(argv[0], {
      args: argv.slice(1),
      cwd: this.dir,
      env: { [MARK]: this.dir },
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#children.push(child);
    return child.pid;
  }

  /** Pids of living programs whose command line matches. */
  alive(pattern: RegExp): number[] {
    return leftoversOf(this.dir).filter(({ command }) => pattern.test(command))
      .map(({ pid }) => pid);
  }

  /** Waits until so many are there. */
  up(pattern: RegExp, count = 1): Promise<number[]> {
    return until(`${count} of ${pattern}`, () => {
      const pids = this.alive(pattern);
      return pids.length === count && pids;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await until("the end of the earlier setup", () => {
      const left = leftoversOf(this.dir);
      killLeftovers(left);
      return left.length === 0;
    });
    await Promise.all(this.#children.map((child) => child.status));
  }
}
