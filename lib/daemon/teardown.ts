/**
 * What has to be done before the daemon may exit, in the reverse order of its making.
 *
 * Invariant: every step runs exactly once and none beside another, whatever happened to the steps
 * before it; a step that fails or takes longer than it may is named and the next one runs.
 */

import { type Clock, within } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";

/** What a step does; it is told what went wrong before it. */
type Run = (wrong: readonly string[]) => Promise<void> | void;

interface Step {
  name: string;
  run: Run;
  /** Milliseconds; undefined: the step bounds itself. */
  limit?: number;
}

/** The steps registered so far. */
export class Teardown {
  readonly #steps: Step[] = [];
  #running: Promise<string[]> | undefined;

  constructor(readonly clock: Clock) {}

  /** Registers a step; the last one registered runs first. */
  add(name: string, run: Run, limit?: number): void {
    this.#steps.push({ name, run, limit });
  }

  /**
   * Runs and forgets all steps; who calls while they run waits for the same end.
   * @returns what went wrong, one sentence each
   */
  run(): Promise<string[]> {
    this.#running ??= this.#run().finally(() => this.#running = undefined);
    return this.#running;
  }

  async #run(): Promise<string[]> {
    const errors: string[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        const result = await within(this.clock, step.limit, Promise.resolve(step.run(errors)));
        if (!result.done) errors.push(`${step.name}: not finished after ${step.limit} ms`);
      } catch (error) {
        errors.push(`${step.name}: ${messageOf(error)}`);
      }
    }
    return errors;
  }
}
