/**
 * Order between a test and the programs it runs, without sleeping.
 *
 * A program waits in `read _ <FIFO` (shell), or in reading a line (JavaScript: `start_gate` of
 * fixtures/web.mjs; there is never an end of file), until the test calls
 * `release`; a program says `echo text >FIFO` and the test gets it from `line`.
 *
 * Invariant: the FIFO is held open for reading and writing, so neither side ever blocks in opening
 * it, a release before the program arrives is not lost, and disposing lets everybody go.
 */

import { until } from "./wait.ts";

/** A named pipe between a test and its programs. */
export class Fifo implements AsyncDisposable {
  readonly path: string;
  readonly #file: Deno.FsFile;
  #text = "";
  #reading: Promise<void> | undefined;
  #closed = false;

  /** Makes the FIFO `path` (or uses it when it is there). */
  constructor(path: string) {
    this.path = path;
    const made = new Deno.Command("mkfifo", { args: ["-m", "666", path], stderr: "piped" });
    const { success, stderr } = made.outputSync();
    if (!success) throw new Error(`mkfifo ${path}: ${new TextDecoder().decode(stderr)}`);
    this.#file = Deno.openSync(path, { read: true, write: true });
  }

  /** Lets `count` readers of one line go on, now or whenever they come. */
  release(count = 1): void {
    this.#file.writeSync(new TextEncoder().encode("go\n".repeat(count)));
  }

  /** The next line a program wrote. A FIFO is used in one direction only. */
  async line(limit?: number): Promise<string> {
    this.#reading ??= this.#readOn();
    await until(`a line in ${this.path}`, () => this.#text.includes("\n"), limit);
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return line;
  }

  async #readOn(): Promise<void> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(4096);
    while (!this.#closed) {
      const count = await this.#file.read(buffer);
      if (count === null) return;
      this.#text += decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  }

  /** Wakes whoever waits and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.release();
    await this.#reading;
    this.#file.close();
  }
}
