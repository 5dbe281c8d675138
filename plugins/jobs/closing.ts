/**
 * How a driver ends, and what it refuses.
 *
 * | state   | entered by | what                                                      |
 * | ------- | ---------- | --------------------------------------------------------- |
 * | open    | –          | everything                                                |
 * | closing | begin()    | nothing new is asked; what is on its way goes on          |
 * | over    | end()      | nothing is on its way any more                            |
 */

import { Failure } from "../../lib/core/failure.ts";
import type { Delivery } from "./driver.ts";

/** See the file's comment. */
export class Closing {
  readonly #pipeline: string;
  readonly #begun = new AbortController();
  readonly #over = new AbortController();

  constructor(pipeline: string) {
    this.#pipeline = pipeline;
  }

  /** Aborted by begin(). */
  get signal(): AbortSignal {
    return this.#begun.signal;
  }

  /** Aborted by end(). */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  get hasBegun(): boolean {
    return this.#begun.signal.aborted;
  }

  /** @returns false: it has begun before */
  begin(): boolean {
    if (this.hasBegun) return false;
    this.#begun.abort(this.failure());
    return true;
  }

  end(): void {
    this.#over.abort(this.failure());
  }

  /** @throws Failure when it has begun */
  check(): void {
    if (this.hasBegun) throw this.failure();
  }

  /** For whoever asks too late. */
  failure(): Failure {
    return new Failure(`pipeline "${this.#pipeline}" is closed`);
  }

  /** For whoever settles what is not reserved. */
  settledTwice({ id }: Delivery): Failure {
    return new Failure(`job "${id}" of pipeline "${this.#pipeline}" was settled twice`);
  }
}
