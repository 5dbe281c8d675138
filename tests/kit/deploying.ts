/**
 * A deploy or rollback over the control API, step by step as it happens.
 *
 *   const deploying = deploy(d, "v2", { start_gate: gate.path });
 *   await deploying.step("building");
 *   gate.release();
 *   const live = await deploying.live();
 *
 * Invariant: whatever the daemon answers is kept; nothing of it counts as success unless it says so.
 */

import type { DeployResult, Progress } from "../../lib/control/operations.ts";
import type { FailureJson } from "../../lib/core/failure.ts";
import type { Daemon } from "./daemon.ts";
import type { Yaml } from "./programs.ts";
import { soon, until } from "./wait.ts";

/** How long one may take on a busy machine, milliseconds. */
const DEPLOY_LIMIT = 60_000;

/** How it ended. */
export type Outcome = DeployResult | FailureJson;

/** One that is under way. */
export class Deploying {
  /** What was told so far. */
  readonly steps: Progress[] = [];
  readonly #outcome: Promise<Outcome>;

  /** Use deploy, deployPath or rollback. */
  constructor(d: Daemon, route: string, body: Yaml) {
    this.#outcome = this.#run(d, route, body);
    // Whoever waits for it hears of it.
    this.#outcome.catch(() => {});
  }

  async #run(d: Daemon, route: string, body: Yaml): Promise<Outcome> {
    const response = await d.post(route, body);
    const lines = (await this.#read(response)).filter((line) => line !== "");
    const last = JSON.parse(lines.at(-1) ?? "null");
    // What is refused before it begins is one failure instead of lines.
    return last.type === "result" ? last.result : last;
  }

  async #read(response: Response): Promise<string[]> {
    let text = "";
    let told = 0;
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      text += piece;
      const whole = text.split("\n").slice(0, -1);
      for (const line of whole.slice(told)) {
        const record = JSON.parse(line);
        if (record.type === "progress") this.steps.push(record);
      }
      told = whole.length;
    }
    return text.split("\n");
  }

  /** Waits for a step, whose message contains `text`. */
  step(name: Progress["step"], text = ""): Promise<Progress> {
    return until(
      `step ${name} ${text}`,
      () => this.steps.find(({ step, message }) => step === name && message.includes(text)),
    );
  }

  /** Waits for the end, whichever it is. */
  outcome(): Promise<Outcome> {
    return soon("the end of a deploy", this.#outcome, DEPLOY_LIMIT);
  }

  /** Waits until it is live, perhaps with errors. @throws Error with the failure */
  async live(): Promise<DeployResult> {
    const outcome = await this.outcome();
    if (outcome.status !== "error") return outcome;
    throw new Error(`it failed: ${JSON.stringify(outcome, null, 2)}`);
  }

  /** Waits until it failed. @throws Error when it went live */
  async failure(): Promise<FailureJson> {
    const outcome = await this.outcome();
    if (outcome.status === "error") return outcome;
    throw new Error(`it went live: ${JSON.stringify(outcome)}`);
  }
}

/** Makes a release (see Daemon.release) and begins to deploy it. */
export function deploy(d: Daemon, name: string, web: Yaml = {}, more: Yaml = {}): Deploying {
  return deployPath(d, d.release(name, web), { release_id: name, ...more });
}

/** Begins to deploy a directory. */
export function deployPath(d: Daemon, release_path: string, more: Yaml = {}): Deploying {
  return new Deploying(d, "/v1/deploy", { release_path, ...more });
}

/** Begins to roll back. */
export function rollback(d: Daemon, more: Yaml = {}): Deploying {
  return new Deploying(d, "/v1/rollback", more);
}
