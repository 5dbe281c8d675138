/**
 * What happens to the daemon, its workers and its broker while jobs are done: one thing after the
 * other, in an order of chance, each at least once.
 *
 * Invariant: whatever may make a job that is done come again is in `disturbances`, with the time from
 * when to when and how many jobs it may be; an operation that fails is a complaint.
 */

import type { Daemon } from "../../tests/kit/daemon.ts";
import { deploy } from "../../tests/kit/deploying.ts";
import type { Random } from "../../tests/kit/random.ts";
import { pause } from "../../tests/kit/wait.ts";
import { pidsOf } from "../../tests/kit/workers.ts";
import type { Place } from "./places.ts";

/** Between two operations, milliseconds. */
const PAUSE: [number, number] = [200, 1_200];

/** Something after which jobs may come again. */
export interface Disturbance {
  what: string;
  /** Milliseconds since 1970. */
  from: number;
  to: number;
  /** Most jobs that were done, and that it may bring again. */
  limit: number;
}

type Operation = [name: string, run: () => Promise<void>];

/** See the head of the file. */
export class Operator {
  readonly disturbances: Disturbance[] = [];
  readonly complaints: string[] = [];
  readonly counts = new Map<string, number>();
  readonly #daemon: Daemon;
  readonly #place: Place;
  readonly #random: Random;
  #releases = 0;

  constructor(daemon: Daemon, place: Place, random: Random) {
    this.#daemon = daemon;
    this.#place = place;
    this.#random = random;
  }

  /** Operates until `deadline`, performance.now(), and until each was done once. */
  async work(deadline: number): Promise<void> {
    for (let first = true; first || performance.now() < deadline; first = false) {
      for (const [name, run] of this.#shuffled(this.#operations())) {
        await pause(this.#random.int(...PAUSE));
        if (!first && performance.now() > deadline) return;
        this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
        try {
          await run();
        } catch (error) {
          this.complaints.push(`${name}: ${(error as Error).message}`);
        }
      }
    }
  }

  /** SIGKILL, and another daemon. */
  killDaemon(): Promise<void> {
    return this.#disturb("the daemon killed", this.#place.kind.prefetch, async () => {
      this.#daemon.kill("SIGKILL");
      await this.#daemon.ended();
      await this.#daemon.start();
    });
  }

  #operations(): Operation[] {
    const { broker, kind } = this.#place;
    const operations: Operation[] = [
      ["deploy", () => this.#deploy()],
      ["reset", () => this.#reset()],
      ["worker killed", () => this.#killWorker()],
    ];
    if (kind.durable) operations.push(["daemon killed", () => this.killDaemon()]);
    if (broker !== undefined) {
      operations.push(
        ["broker restarted", () => this.#restartBroker(() => broker.stop())],
        ["broker killed", () => this.#restartBroker(() => broker.kill())],
      );
    }
    return operations;
  }

  #shuffled(operations: Operation[]): Operation[] {
    return operations.map((one) => [this.#random.next(), one] as const)
      .sort(([a], [b]) => a - b).map(([, one]) => one);
  }

  async #disturb(what: string, limit: number, run: () => Promise<void>): Promise<void> {
    const disturbance = { what, from: Date.now(), to: Infinity, limit };
    this.disturbances.push(disturbance);
    await run();
    disturbance.to = Date.now();
  }

  async #deploy(): Promise<void> {
    const ending = await deploy(this.#daemon, `r${++this.#releases}`).outcome();
    if (ending.status !== "success") throw new Error(JSON.stringify(ending));
  }

  async #reset(): Promise<void> {
    const response = await this.#daemon.post("/v1/reset", { plugin: "jobs" });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
  }

  async #killWorker(): Promise<void> {
    const pids = await pidsOf(this.#daemon);
    if (pids.length === 0) return;
    await this.#disturb("a worker killed", 1, async () => {
      try {
        Deno.kill(this.#random.pick(pids), "SIGKILL");
      } catch (error) {
        // It ended between the look and the shot.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      await Promise.resolve();
    });
  }

  #restartBroker(end: () => Promise<void>): Promise<void> {
    const { broker, kind } = this.#place;
    return this.#disturb("the broker restarted", kind.prefetch, async () => {
      await end();
      await broker!.start();
    });
  }
}
