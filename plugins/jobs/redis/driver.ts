/**
 * The jobs of a pipeline in Redis: streams with a consumer group, as scripts.ts has them.
 *
 * | state  | entered by | it does                                                              |
 * | ------ | ---------- | -------------------------------------------------------------------- |
 * | made   | –          | nothing                                                              |
 * | open   | open()     | everything; without a connection it waits for one                    |
 * | closed | dispose    | nothing; what was held waits again, at once or after the time of visibility |
 *
 * Invariants: takes are sent one after the other; nothing is taken that is not held or handed back;
 * whoever gives up waiting has nothing.
 */

import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import type { RedisBroker, RedisConfig } from "../../../lib/config/roadrunner/drivers/redis.ts";
import { type Clock, within } from "../../../lib/core/clock.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import { Closing } from "../closing.ts";
import type {
  Abilities,
  DeadJob,
  Delivery,
  Driver,
  DriverHost,
  DriverStat,
  DriverState,
  Job,
  Settlement,
} from "../driver.ts";
import { InTurn } from "../in_turn.ts";
import { CLOSE_LIMIT, type Link, type LinkSpec } from "../link.ts";
import { Batches } from "./batches.ts";
import { Bell } from "./bell.ts";
import { decode, decodeDead, encodeMeta, type Entry, Garbage, type Held, textOf } from "./codec.ts";
import { type Arg, Lost, type RedisConnection, type Reply, whomOf } from "./connection.ts";
import { Endings } from "./endings.ts";
import { Presence } from "./presence.ts";
import type { ScriptName } from "./scripts.ts";

export const CAN: Abilities = {
  delay: true,
  priority: true,
  dead: true,
  unique: true,
  durable: true,
};

/** What it is given to live in. */
export interface RedisHome extends Pick<DriverHost, "clock" | "emit"> {
  readonly broker: RedisBroker;
  readonly spec: LinkSpec<RedisConnection>;
  borrow(): Link<RedisConnection>;
  giveBack(): Promise<void>;
}

/** What a take brought. */
interface Fetched {
  jobs: Held[];
  /** Where there is none: when there may be, and the bell. */
  next: number;
  bell: string;
}

/** What an open driver has. */
interface Place {
  readonly link: Link<RedisConnection>;
  readonly presence: Presence;
  readonly endings: Endings;
  /** The state of the link is not told any more. */
  unheard(): void;
}

/** See the file's comment. */
export class RedisDriver implements Driver {
  readonly can = CAN;
  onState: (() => void) | undefined;
  readonly #pipeline: string;
  #settings: PipelineConfig;
  readonly #home: RedisHome;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #base: string;
  readonly #config: RedisConfig;
  readonly #bell: Bell;
  /** There from open() on. */
  #at: Place | undefined;
  readonly #takes = new InTurn();
  readonly #pushes: Batches<readonly Job[], void>;
  readonly #closing: Closing;
  #weakness: string | undefined;

  constructor(pipeline: string, settings: PipelineConfig, home: RedisHome) {
    this.#pipeline = pipeline;
    this.#closing = new Closing(pipeline);
    this.#settings = settings;
    this.#home = home;
    this.#clock = home.clock;
    this.#emit = home.emit;
    this.#config = settings.config as RedisConfig;
    this.#base = `${this.#config.prefix}{${pipeline}}:`;
    this.#bell = new Bell(home.spec, this.#base, home.clock, () => {
      // Perhaps it is lost, too: then this is how it is noticed.
      this.#at?.presence.sayAlive();
    });
    const ready = () => this.#ready(this.#closing.over);
    this.#pushes = new Batches(ready, (pushes) => this.#send(pushes));
  }

  get state(): DriverState {
    return this.#at?.link.state ?? { state: "connecting" };
  }

  open(): Promise<void> {
    if (this.#closing.hasBegun) return Promise.reject(this.#closing.failure());
    if (this.#at !== undefined) return Promise.resolve();
    const link = this.#home.borrow();
    const base = this.#base;
    const clock = this.#clock;
    const presence = new Presence(link, base, this.#config.visibility_timeout, clock);
    const settler = { pipeline: this.#pipeline, driver: "redis", clock, emit: this.#emit };
    const endings = new Endings({ ...settler, over: this.#closing.over, base, link, presence });
    const unheard = link.onState(() => this.#turned());
    this.#at = { link, presence, endings, unheard };
    if (link.state.state === "ready") this.#turned();
    return Promise.resolve();
  }

  configure(settings: PipelineConfig): void {
    this.#settings = settings;
  }

  async push(jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    this.#closing.check();
    const bytes = jobs.reduce((sum, { payload }) => sum + payload.length, 0);
    try {
      await this.#pushes.add(jobs, bytes, signal);
    } catch (error) {
      if (signal?.aborted) throw this.#at?.link.failure() ?? error;
      throw this.#refusal("the jobs were not stored", error);
    }
  }

  async #send(pushes: (readonly Job[])[]): Promise<void[]> {
    const args: Arg[] = [];
    for (const job of pushes.flat()) {
      const { priority, delay, unique, payload } = job;
      const window = job.unique_window ?? this.#settings.unique?.window;
      const key = unique === undefined || window === undefined ? "" : `=${unique}`;
      args.push(priority, delay, key, window ?? 0, encodeMeta(job), payload);
    }
    await this.#run("push", args);
    return pushes.map(() => undefined);
  }

  // Taking.

  async take(most: number, signal: AbortSignal): Promise<Delivery[]> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    for (;;) {
      try {
        const { jobs, next, bell } = await this.#takes.lend(
          () => this.#fetch(most, either),
          either,
          ({ jobs }) => this.#handBack(jobs),
        );
        if (jobs.length > 0) return jobs;
        await this.#rung(bell, next, either);
      } catch (error) {
        if (either.aborted) throw either.reason;
        if (!(error instanceof Lost)) throw this.#refusal("no job can be taken", error);
        // The next round waits for another connection.
      }
    }
  }

  async #fetch(most: number, signal: AbortSignal): Promise<Fetched> {
    for (;;) {
      const connection = await this.#ready(signal);
      const { presence } = this.#place;
      const consumer = await presence.current(connection);
      presence.unsure = true;
      const args = [consumer, most, this.#settings.priority];
      const reply = await connection.run("take", this.#base, args);
      presence.unsure = false;
      if (reply === 0) {
        presence.expelled(consumer);
        continue;
      }
      const [list, next, bell] = reply as [[Uint8Array, ...Entry][], number, Uint8Array];
      const all = list.map(([lane, ...entry]) => decode(consumer, textOf(lane), entry));
      for (const job of all) presence.held.set(job, false);
      const jobs = all.filter((job) => !(job instanceof Garbage));
      for (const job of all) if (job instanceof Garbage) this.#bury(job);
      // Behind garbage there may be jobs.
      if (jobs.length > 0 || all.length === 0) return { jobs, next, bell: textOf(bell) };
    }
  }

  /** Resolves when there may be something to take. @throws the signal's reason */
  async #rung(bell: string, next: number, signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const either = AbortSignal.any([signal, enough.signal]);
    const timer = next < 0 ? undefined : this.#clock.timer(next, () => enough.abort());
    try {
      await this.#bell.wait(bell, either);
    } catch (error) {
      if (!enough.signal.aborted) throw error;
    } finally {
      timer?.cancel();
    }
  }

  #handBack(jobs: readonly Held[]): void {
    for (const job of jobs) {
      // Only after close; and then all that was held has been handed back.
      this.settle(job, { kind: "back" }).catch(() => {});
    }
  }

  #bury(job: Garbage): void {
    const { id, reason } = job;
    this.#emit("job_unreadable", { pipeline: this.#pipeline, id, reason });
    // Only after close; the next daemon finds it again.
    this.settle(job, { kind: "dead", error: reason }).catch(() => {});
  }

  // Ending.

  async settle(delivery: Delivery, settlement: Settlement): Promise<void> {
    this.#closing.check();
    const { presence: { held }, endings } = this.#place;
    const job = delivery as Held;
    if (held.get(job) !== false) throw this.#closing.settledTwice(job);
    held.set(job, true);
    await endings.add(job, settlement);
  }

  #turned(): void {
    const { link: { connection }, presence } = this.#place;
    if (connection !== undefined) {
      const { weakness } = connection;
      if (weakness !== undefined && weakness !== this.#weakness) {
        const facts = { pipeline: this.#pipeline, driver: "redis", reason: weakness };
        this.#emit("pipeline_volatile", facts);
      }
      this.#weakness = weakness;
      presence.sayAlive();
    }
    this.onState?.();
  }

  // Questions.

  async stat(): Promise<DriverStat> {
    const reply = await this.#ask("stat", []);
    const [waiting, delayed, reserved, dead] = reply as number[];
    return { waiting, delayed, reserved, dead };
  }

  async dead(most: number, after?: string): Promise<DeadJob[]> {
    const reply = await this.#ask("dead", after === undefined ? [most] : [most, after]);
    return (reply as unknown as Entry[]).map(decodeDead);
  }

  async retry(id: string): Promise<boolean> {
    return await this.#ask("raise", [id, "retry"]) === 1;
  }

  async drop(id: string): Promise<boolean> {
    return await this.#ask("raise", [id, "drop"]) === 1;
  }

  async #ask(name: ScriptName, args: readonly Arg[]): Promise<Reply> {
    this.#closing.check();
    const connection = await this.#place.link.soon();
    try {
      return await connection.run(name, this.#base, args);
    } catch (error) {
      throw this.#refusal("it cannot be asked", error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closing.begin()) return;
    this.#pushes.close(this.#closing.failure());
    if (this.#at === undefined) return;
    const { presence, endings, unheard } = this.#at;
    presence.stop();
    unheard();
    const left = await within(this.#clock, CLOSE_LIMIT, this.#leave());
    this.#closing.end();
    endings.close(this.#closing.failure());
    if (!left.done) this.#tellLeft("it did not answer in time");
    await this.#bell.close();
    await this.#home.giveBack();
  }

  /** What is on its way arrives, and what is held waits again. */
  async #leave(): Promise<void> {
    const { presence, endings } = this.#place;
    await Promise.all([this.#takes.idle, endings.idle()]);
    try {
      await presence.leave(this.#closing.over);
    } catch (error) {
      // Told already, when the time for it was over.
      if (!this.#closing.over.aborted) this.#tellLeft(messageOf(error));
    }
  }

  /** Others have them after the time of visibility. */
  #tellLeft(reason: string): void {
    const jobs = this.#place.presence.held.size;
    if (jobs > 0) this.#emit("jobs_left_behind", { pipeline: this.#pipeline, jobs, reason });
  }

  async #run(name: ScriptName, args: readonly Arg[]): Promise<Reply> {
    const connection = await this.#ready(this.#closing.over);
    return await connection.run(name, this.#base, args);
  }

  #ready(signal: AbortSignal): Promise<RedisConnection> {
    return this.#place.link.ready(signal);
  }

  get #place(): Place {
    if (this.#at !== undefined) return this.#at;
    throw new Failure(`pipeline "${this.#pipeline}" is not open`);
  }

  #refusal(what: string, error: unknown): Failure {
    if (this.#closing.hasBegun) return this.#closing.failure();
    const whom = whomOf(this.#home.broker);
    const sure = error instanceof Lost ? `it is not known whether ${what}` : what;
    const why = error instanceof Failure ? error.message : `${whom} says: ${messageOf(error)}`;
    const fix = error instanceof Lost ? "try again" : `see the log of ${whom}`;
    return new Failure(`pipeline "${this.#pipeline}": ${sure}: ${why}`, { fix, cause: error });
  }
}
