/**
 * An operator who never rests: deploys, rollbacks, restarts, scaling and reloads, one after the
 * other, at random.
 *
 * Invariants: an operation that fails without a program having been killed meanwhile is a complaint,
 * and so is a release that cannot start and yet goes live; whenever nothing is under way, the record
 * of requests knows which release is live.
 */

import type { FailureJson } from "../../lib/core/failure.ts";
import type { Daemon } from "../../tests/kit/daemon.ts";
import { deploy, rollback } from "../../tests/kit/deploying.ts";
import type { Yaml } from "../../tests/kit/programs.ts";
import type { Random } from "../../tests/kit/random.ts";
import { pause } from "../../tests/kit/wait.ts";
import type { Requests } from "./requests.ts";

/** Longest pause between two operations, milliseconds. */
const LONGEST_PAUSE = 400;

/** Most copies of the proxied program. */
const MOST_COPIES = 3;

/** What stands in the configuration and changes during a soak. */
export interface Settings {
  /** Changes what runs: a reload makes a new generation. */
  stamp: number;
  /** Applies live. */
  outputLines: number;
}

/** How an operation ended, from its answer. */
type Ending = { status: string } | FailureJson;

/** See the head of the file. */
export class Operator {
  readonly done = new Map<string, number>();
  readonly complaints: string[] = [];
  /** Operations that failed while a program was killed. */
  excused = 0;
  #releases = 0;
  #settings: Settings = { stamp: 0, outputLines: 50 };

  constructor(
    readonly daemon: Daemon,
    readonly requests: Requests,
    readonly random: Random,
    readonly config: (settings: Settings) => Yaml,
  ) {}

  /** Two releases, so that there is one to go back to. */
  async begin(): Promise<void> {
    await this.#operate("deploy", () => this.#deploy());
    await this.#operate("deploy", () => this.#deploy());
  }

  /** Operates until `deadline`, performance.now(). */
  async work(deadline: number): Promise<void> {
    while (performance.now() < deadline) {
      const [name, run] = this.random.pick(this.#choices());
      await this.#operate(name, run);
      await pause(this.random.int(0, LONGEST_PAUSE));
    }
  }

  /** Back to a known shape, for the count at the end. */
  async settle(copies: number): Promise<void> {
    await this.#operate("scale", () => this.#post("scale", { name: "web", count: copies }));
    await this.#operate("deploy", () => this.#deploy());
  }

  /** Operations with their weight as repetition. */
  #choices(): [string, () => Promise<Ending>][] {
    const { random } = this;
    const deploying: [string, () => Promise<Ending>] = ["deploy", () => this.#deploy()];
    return [
      deploying,
      deploying,
      deploying,
      ["deploy of a broken release", () => this.#deployBroken()],
      ["two deploys at once", () => this.#deployTwice()],
      ["rollback", () => rollback(this.daemon).outcome()],
      ["restart of one process", () => this.#post("restart", { process: "web" })],
      [
        "restart by policy",
        () => this.#post("restart", { policy: random.pick(["companion", "singleton", "service"]) }),
      ],
      ["scale", () => this.#post("scale", { name: "web", count: random.int(1, MOST_COPIES) })],
      ["reload, live", () => this.#reload({ outputLines: random.int(10, 100) })],
      ["reload, new generation", () => this.#reload({ stamp: this.#settings.stamp + 1 })],
    ];
  }

  async #operate(name: string, run: () => Promise<Ending>): Promise<void> {
    const begin = performance.now();
    this.requests.live(undefined);
    const ending = await run();
    this.done.set(name, (this.done.get(name) ?? 0) + 1);
    if (ending.status === "error" || ending.status === "partial") {
      if (this.requests.killedSince(begin)) this.excused++;
      else this.complaints.push(`${name}: ${JSON.stringify(ending)}`);
    }
    const { active_release_id, releases } = await this.daemon.status();
    const active = releases.find((release) => release.release_id === active_release_id);
    this.requests.live(active?.release_path.split("/").at(-1));
  }

  #deploy(): Promise<Ending> {
    return deploy(this.daemon, `r${++this.#releases}`).outcome();
  }

  async #deployTwice(): Promise<Ending> {
    const [first, second] = await Promise.all([this.#deploy(), this.#deploy()]);
    return first.status === "error" ? first : second;
  }

  async #deployBroken(): Promise<Ending> {
    const ending = await deploy(this.daemon, `r${++this.#releases}`, { start_crash: 3 }).outcome();
    if (ending.status !== "error") this.complaints.push("a release that cannot start went live");
    return { status: "success" };
  }

  #reload(change: Partial<Settings>): Promise<Ending> {
    this.#settings = { ...this.#settings, ...change };
    this.daemon.configure(this.config(this.#settings));
    return this.#post("reload");
  }

  async #post(operation: string, body: Yaml = {}): Promise<Ending> {
    return await (await this.daemon.post(`/v1/${operation}`, body)).json();
  }
}
