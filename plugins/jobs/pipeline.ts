/**
 * One pipeline: its driver, the loop that takes jobs out of it, and how each of them ends.
 *
 * | state     | entered by            | jobs are                                      |
 * | --------- | --------------------- | --------------------------------------------- |
 * | standing  | –, paused, no release | stored; what was taken is handed back         |
 * | flowing   | flow()                | taken, within `prefetch` and `pipeline_size`  |
 * | closed    | dispose               | where the driver keeps them                   |
 *
 * Invariants: every job that was taken is settled exactly once; jobs taken and not settled never
 * exceed `prefetch`; while standing nothing is taken, also by a loop that was told to end just then.
 */

import { JOB_RETRY } from "../../lib/config/defaults.ts";
import type { PipelineConfig } from "../../lib/config/roadrunner/jobs.ts";
import { freshHistory, nextWait, type WaitPolicy } from "../../lib/core/backoff.ts";
import { abortable, type Clock, sleep, within } from "../../lib/core/clock.ts";
import { messageOf } from "../../lib/core/failure.ts";
import type { Emit } from "../../lib/telemetry/events.ts";
import type { Driver, Job, Settlement } from "./driver.ts";
import type { PipelineCounts, PipelineInfo } from "./engine.ts";
import type { Lanes } from "./lanes.ts";
import { backoff, decide, type Outcome } from "./outcome.ts";
import { Rate } from "./rate.ts";
import type { BackReason, By, Taken, TakenFrom } from "./taken.ts";

/** A driver that cannot be taken from is asked again after this. */
const TAKE_AGAIN: WaitPolicy = { delay: 1000, backoff_factor: 2, max_delay: 30_000 };
/** How long settlements may take at the end. */
const CLOSE_LIMIT = 10_000;

const WHY: Record<BackReason, string> = {
  cut: "the time for draining was over",
  paused: "the pipeline was paused",
  stopped: "nothing is given to workers now",
};

/** What a pipeline is given to live in. */
export interface PipelineHost {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly lanes: Lanes;
  /** The next place in line, of all pipelines. */
  seq(): number;
  /** Jobs that may wait beside those of the others. */
  space(): number;
  /** Stores a dead letter in another pipeline. */
  bury(pipeline: string, job: Job): Promise<void>;
}

/** What it is called, and where it comes from. */
export interface PipelineSpec {
  readonly name: string;
  readonly settings: PipelineConfig;
  /** The whole name of its pool. */
  readonly pool: string;
  /** By a client. */
  readonly declared: boolean;
}

/** See the file's comment. */
export class Pipeline implements TakenFrom {
  readonly name: string;
  readonly declared: boolean;
  readonly driver: Driver;
  /** Somebody wants its jobs worked on; they are when a release is live, too. */
  consuming = false;
  pool: string;
  settings: PipelineConfig;
  readonly #host: PipelineHost;
  readonly #counts: PipelineCounts = {
    pushed: 0,
    refused: 0,
    delivered: 0,
    done: 0,
    failed: 0,
    requeued: 0,
    dead: 0,
    dropped: 0,
  };
  #running = 0;
  /** Taken and not settled. */
  #held = 0;
  #flow: { end: AbortController; over: Promise<void> } | undefined;
  /** Somebody waits for room. */
  #room: PromiseWithResolvers<void> | undefined;
  /** Somebody waits until nothing is held. */
  #idle: PromiseWithResolvers<void> | undefined;
  #rate: Rate | undefined;

  constructor(
    { name, settings, pool, declared }: PipelineSpec,
    driver: Driver,
    host: PipelineHost,
  ) {
    this.name = name;
    this.settings = settings;
    this.pool = pool;
    this.declared = declared;
    this.driver = driver;
    this.#host = host;
    this.#limitRate();
    let isDown = false;
    driver.onState = () => {
      const { state } = driver;
      if ((state.state !== "ready") === isDown) return;
      isDown = !isDown;
      const facts = { pipeline: name, driver: settings.driver };
      if (state.state === "ready") return host.emit("pipeline_ready", facts);
      const { error = "not connected", next_try_at } = state;
      host.emit("pipeline_down", { ...facts, error, next_try_at });
    };
  }

  get info(): PipelineInfo {
    const { name, settings: { driver, priority }, pool, consuming, declared } = this;
    return {
      name,
      driver,
      pool,
      consuming,
      link: this.driver.state,
      priority,
      declared,
      running: this.#running,
      counts: { ...this.#counts },
    };
  }

  get flowing(): boolean {
    return this.#flow !== undefined;
  }

  /** Newer settings; what its driver is opened from is the same. */
  configure(settings: PipelineConfig, pool: string): void {
    this.settings = settings;
    this.pool = pool;
    this.driver.configure(settings);
    this.#limitRate();
    this.#host.lanes.renew(this);
    this.more();
  }

  /** @throws what the driver says */
  async push(jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    try {
      await abortable(this.driver.push(jobs, signal), signal);
    } catch (error) {
      this.#counts.refused += jobs.length;
      throw error;
    }
    this.#counts.pushed += jobs.length;
  }

  // Taking.

  /** Its jobs are taken from now on. */
  flow(): void {
    if (this.#flow !== undefined) return;
    const end = new AbortController();
    // A loop that was told to end may still be at it: two would take twice the room.
    this.#flow = { end, over: this.#take(end.signal) };
  }

  /** Nothing is taken any more; what no worker has is handed back. */
  async stand(reason: BackReason): Promise<void> {
    const flow = this.#flow;
    if (flow === undefined) return;
    this.#flow = undefined;
    flow.end.abort();
    this.handBack(this.#host.lanes.withdraw(this), reason);
    await flow.over;
  }

  /** There may be room for more. */
  more(): void {
    if (this.#room === undefined || this.#spaceLeft <= 0) return;
    // A batch is taken at a time, not one for each that ends.
    if (this.#held > this.settings.prefetch >> 1) return;
    this.#room.resolve();
    this.#room = undefined;
  }

  get #spaceLeft(): number {
    return Math.min(this.settings.prefetch - this.#held, this.#host.space());
  }

  async #take(signal: AbortSignal): Promise<void> {
    const { clock, lanes, seq, emit } = this.#host;
    let tries = freshHistory();
    while (!signal.aborted) {
      const space = this.#spaceLeft;
      try {
        if (space <= 0) {
          this.#room ??= Promise.withResolvers();
          await abortable(this.#room.promise, signal);
          continue;
        }
        const deliveries = await this.driver.take(space, signal);
        this.#held += deliveries.length;
        const taken = deliveries.map((delivery): Taken => ({
          pipeline: this,
          delivery,
          seq: seq.call(this.#host),
          acknowledged: false,
        }));
        if (signal.aborted) return this.handBack(taken, "stopped");
        for (const one of taken) lanes.add(one);
        lanes.pump();
        tries = freshHistory();
      } catch (error) {
        if (signal.aborted) return;
        const ms = nextWait(TAKE_AGAIN, tries);
        const { driver } = this.settings;
        emit("pipeline_down", { pipeline: this.name, driver, error: messageOf(error) });
        await sleep(clock, ms, signal).catch((error) => {
          if (!signal.aborted) throw error; // else nobody wants them any more
        });
      }
    }
  }

  // What lanes and workers say.

  wait(now: number, ahead = 0): number {
    const { parallelism } = this.settings;
    if (parallelism > 0 && this.#running + ahead >= parallelism) return Infinity;
    return this.#rate?.wait(now, ahead) ?? 0;
  }

  begun(): void {
    this.#running++;
    this.#counts.delivered++;
    this.#rate?.took();
  }

  over(): void {
    this.#running--;
  }

  async acknowledge(taken: Taken): Promise<void> {
    await this.driver.settle(taken.delivery, { kind: "ack" });
    taken.acknowledged = true;
  }

  handBack(taken: readonly Taken[], reason: BackReason): void {
    if (taken.length === 0) return;
    const jobs = taken.length;
    this.#host.emit("jobs_handed_back", { pipeline: this.name, jobs, reason: WHY[reason] });
    for (const one of taken) this.#settle(one, { kind: "back" });
  }

  ended(taken: Taken, outcome: Outcome, { release, pid }: By): void {
    const counts = this.#counts;
    if (outcome.kind === "done") {
      counts.done++;
      return this.#settle(taken, { kind: "ack" });
    }
    if (outcome.kind === "requeue") counts.requeued++;
    else counts.failed++;
    const { delivery, acknowledged } = taken;
    const { can } = this.driver;
    const decision = decide(outcome, delivery, this.settings, can, Math.random);
    const then = acknowledged ? "nothing: it was acknowledged before" : decision.then;
    if (outcome.kind !== "requeue") {
      const { id, name: job, attempt } = delivery;
      const facts = { pipeline: this.name, job, id, attempt, error: outcome.message, then };
      this.#host.emit("job_failed", { ...facts, release, pid });
    }
    if (acknowledged) return this.#settled();
    if ("to" in decision) return void this.#bury(taken, decision.to, decision.error);
    const { settlement } = decision;
    if (settlement.kind === "dead") counts.dead++;
    else if (settlement.kind === "drop") counts.dropped++;
    this.#settle(taken, settlement);
  }

  /** Pushed to another pipeline, and only then acknowledged here. */
  async #bury(taken: Taken, to: string, error: string): Promise<void> {
    const { delivery } = taken;
    const { id, name, payload, auto_ack } = delivery;
    const headers = {
      ...delivery.headers,
      dead_letter_from: [this.name],
      dead_letter_error: [error],
      dead_letter_attempts: [String(delivery.attempt)],
    };
    try {
      await this.#host.bury(to, { id, name, payload, headers, priority: 0, delay: 0, auto_ack });
    } catch (failure) {
      const reason = `${error}; and pipeline ${to} did not take it: ${messageOf(failure)}`;
      const { attempt } = delivery;
      const delay = backoff(this.settings.retry ?? JOB_RETRY, attempt, Math.random);
      const settlement = { kind: "again" as const, delay, attempt, error: reason };
      return this.#settle(taken, { ...settlement, headers: delivery.headers });
    }
    this.#counts.dead++;
    this.#settle(taken, { kind: "ack" });
  }

  #settle(taken: Taken, settlement: Settlement): void {
    const { delivery, acknowledged } = taken;
    if (acknowledged) {
      if (settlement.kind === "back") {
        const reason = "it was acknowledged before a worker had it";
        this.#host.emit("jobs_lost", { pipeline: this.name, jobs: 1, reason });
      }
      return this.#settled();
    }
    this.driver.settle(delivery, settlement).then(this.#settled, (error) => {
      const { id, name: job } = delivery;
      this.#host.emit("job_unsettled", { pipeline: this.name, job, id, error: messageOf(error) });
      this.#settled();
    });
  }

  readonly #settled = (): void => {
    this.#held--;
    this.more();
    if (this.#held > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  };

  #limitRate(): void {
    const { rate } = this.settings;
    const { limit } = this.#rate ?? {};
    if (rate?.jobs === limit?.jobs && rate?.per === limit?.per) return;
    this.#rate = rate && new Rate(rate, this.#host.clock.now());
  }

  /** Resolves when every job that was taken is settled; after `ms` milliseconds at the latest. */
  async empty(ms: number): Promise<void> {
    if (this.#held === 0) return;
    this.#idle ??= Promise.withResolvers();
    await within(this.#host.clock, ms, this.#idle.promise);
  }

  /** Nobody may have one of its jobs any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stand("stopped");
    await this.empty(CLOSE_LIMIT);
    await this.driver[Symbol.asyncDispose]();
  }
}
