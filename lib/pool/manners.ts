/**
 * Whether the workers of a pool answer the question who they are more than once.
 *
 * The packages for PHP and our own kit answer at any time, and each request then goes out behind the
 * question (see worker.ts). But the original asks only once, so there may be workers that end, or stay
 * silent, when they are asked again. Every worker is therefore asked a second time before it gets
 * work, until it is known how those of this pool are:
 *
 * | known   | entered by                                        | a new worker is asked | requests go behind it |
 * | ------- | ------------------------------------------------- | --------------------- | --------------------- |
 * | nothing | –                                                 | yes                   | if it answered        |
 * | answers | one answered                                      | no                    | yes                   |
 * | plain   | one that had not answered, started anew without   | no                    | no, nor self-probes   |
 * |         | the question, served a request                    |                       |                       |
 *
 * Invariant: nothing but a request that was answered makes a pool plain, so a worker that fails for other
 * reasons does not.
 */

/** How long a worker may take to answer a second time, milliseconds. */
export const SECOND_ANSWER = 1_000;

/** See the file's comment. One for each pool. */
export class Manners {
  #known: "nothing" | "answers" | "plain" = "nothing";

  /** `told`: called once when the pool turns out to be plain. */
  constructor(readonly told: () => void) {}

  /** A new worker is to be asked a second time. */
  get ask(): boolean {
    return this.#known === "nothing";
  }

  /** What to take a new worker for that is not asked. */
  get answers(): boolean {
    return this.#known !== "plain";
  }

  /** A worker answered the second question. */
  answered(): void {
    this.#known = "answers";
  }

  /** A worker served a request; `asked`: behind the question. */
  served(asked: boolean): void {
    if (asked || this.#known !== "nothing") return;
    this.#known = "plain";
    this.told();
  }
}
