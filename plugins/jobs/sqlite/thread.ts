/**
 * The thread of a file, from the daemon's side: started, spoken to, killed.
 *
 * Invariant: this is the one place that knows where the thread's program lies: beside this file in the
 * source; in the compiled program a bundle of its own beside the program's (scripts/lib/bundle.ts).
 */

import { Failure } from "../../../lib/core/failure.ts";

const PROGRAM = Deno.build.standalone ? "./jobs_sqlite.js" : "./worker.ts";

/** See the file's comment. */
export class Thread {
  /** What it says after its first word. */
  onReply: ((message: unknown) => void) | undefined;
  /** It ended by itself. */
  onEnd: ((reason: string) => void) | undefined;
  readonly #worker: Worker;

  constructor() {
    this.#worker = new Worker(new URL(PROGRAM, import.meta.url), { type: "module", name: "jobs" });
  }

  /** Says the first word and hears the first. @throws Failure when it cannot start */
  first<T>(message: unknown): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#worker.onmessage = ({ data }) => {
      this.#worker.onmessage = ({ data }) => this.onReply?.(data);
      resolve(data);
    };
    this.#worker.onerror = (event) => {
      // Else the whole daemon would end with it.
      event.preventDefault();
      reject(new Failure(`cannot start a thread for jobs: ${event.message}`));
      this.onEnd?.(event.message);
    };
    this.#worker.postMessage(message);
    return promise;
  }

  say(message: unknown, transfer: ArrayBuffer[]): void {
    this.#worker.postMessage(message, transfer);
  }

  kill(): void {
    this.#worker.terminate();
  }
}
