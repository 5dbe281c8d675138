/**
 * The jobs of a pipeline in Redis: streams with a consumer group, as scripts.ts has them.
 *
 * | consumer | entered by                | then                                                      |
 * | -------- | ------------------------- | --------------------------------------------------------- |
 * | none     | –, expelled               | alive, before something is taken                          |
 * | alive    | join                      | it says so every third of `visibility_timeout`            |
 * | expelled | no word of it for so long | none; what it held is others', and is settled by nobody   |
 * | gone     | dispose                   | what it held waits again                                  |
 *
 * Invariants: everything that is pending at our consumer is held here, or handed back before the next
 * take (an answer that got lost may have reserved jobs); a settlement is sent until Redis has answered;
 * one whose answer got lost and that is not found afterwards was done.
 */

import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import type { RedisBroker, RedisConfig } from "../../../lib/config/roadrunner/drivers/redis.ts";
import { freshHistory, nextTry, type RetryPolicy } from "../../../lib/core/backoff.ts";
import { abortable, type Clock, sleep, type Timer, within } from "../../../lib/core/clock.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
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
import { CLOSE_LIMIT, type Link, type LinkSpec } from "../link.ts";
import { Batches } from "./batches.ts";
import { Bell } from "./bell.ts";
import { decode, decodeDead, encodeMeta, type Entry, Garbage, Held, textOf } from "./codec.ts";
import { type Arg, type RedisConnection, Refused, type Reply, whomOf } from "./connection.ts";
import type { ScriptName } from "./scripts.ts";

export const CAN: Abilities = {
  delay: true,
  priority: true,
  dead: true,
  unique: true,
  durable: true,
};

/** A settlement that Redis refuses (it is full, its disk is) is repeated. */
const SETTLE_AGAIN: RetryPolicy = { delay: 250, backoff_factor: 2, max_delay: 10_000, window: 0 };
/** For questions. */
const ASK_LIMIT = 3000;

/** What it is given to live in. */
export interface RedisHome extends Pick<DriverHost, "clock" | "emit"> {
  readonly broker: RedisBroker;
  readonly spec: LinkSpec<RedisConnection>;
  borrow(): Link<RedisConnection>;
  giveBack(): Promise<void>;
}

/** How one delivery ends, and whether that was sent before. */
interface Ending {
  readonly job: Held;
  readonly args: readonly Arg[];
  sent: boolean;
}

/** What a take brought. */
interface Fetched {
  jobs: Held[];
  /** Where there is none: when there may be, and the bell. */
  next: number;
  bell: string;
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
  readonly #me = crypto.randomUUID();
  #link: Link<RedisConnection> | undefined;
  #unheard: (() => void) | undefined;
  readonly #bell: Bell;
  /** Consumer that is alive, as far as we know. */
  #consumer: string | undefined;
  #consumers = 0;
  /** Reserved for us; true while a settlement is on its way. */
  readonly #held = new Map<Held, boolean>();
  /** Jobs may be reserved for us that we do not know. */
  #unsure = false;
  /** Takes are sent one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #pushes: Batches<readonly Job[], void>;
  /** Apart from `#moves`: what frees room must not wait for what needs some. */
  readonly #ends: Batches<Ending, void>;
  readonly #moves: Batches<Ending, void>;
  readonly #beat: { timer?: Timer; sending: boolean } = { sending: false };
  /** Aborted when it closes, and when nothing is settled any more. */
  readonly #closing = new AbortController();
  readonly #over = new AbortController();
  #weakness: string | undefined;

  constructor(pipeline: string, settings: PipelineConfig, home: RedisHome) {
    this.#pipeline = pipeline;
    this.#settings = settings;
    this.#home = home;
    this.#clock = home.clock;
    this.#emit = home.emit;
    this.#config = settings.config as RedisConfig;
    this.#base = `${this.#config.prefix}{${pipeline}}:`;
    this.#bell = new Bell(home.spec, this.#base, home.clock, () => this.#sayAlive());
    const ready = () => this.#ready(this.#over.signal);
    this.#pushes = new Batches(ready, (pushes) => this.#sendPushes(pushes));
    this.#ends = new Batches(ready, (endings) => this.#sendEndings(endings));
    this.#moves = new Batches(ready, (endings) => this.#sendEndings(endings));
  }

  get state(): DriverState {
    return this.#link?.state ?? { state: "connecting" };
  }

  open(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.reject(this.#closedFailure());
    if (this.#link !== undefined) return Promise.resolve();
    this.#link = this.#home.borrow();
    this.#unheard = this.#link.onState(() => this.#turned());
    if (this.#link.state.state === "ready") this.#turned();
    this.#beatLater();
    return Promise.resolve();
  }

  configure(settings: PipelineConfig): void {
    this.#settings = settings;
  }

  async push(jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    if (this.#closing.signal.aborted) throw this.#closedFailure();
    const bytes = jobs.reduce((sum, { payload }) => sum + payload.length, 0);
    try {
      await this.#pushes.add(jobs, bytes, signal);
    } catch (error) {
      if (signal?.aborted) throw this.#link?.failure() ?? error;
      throw this.#refusal("the jobs were not stored", error);
    }
  }

  async #sendPushes(pushes: (readonly Job[])[]): Promise<void[]> {
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
      const fetching = this.#fetchInTurn(most, either);
      try {
        const { jobs, next, bell } = await abortable(fetching, either);
        if (jobs.length > 0) return jobs;
        await this.#rung(bell, next, either);
      } catch (error) {
        if (either.aborted) {
          fetching.then(({ jobs }) => this.#handBack(jobs), () => {}); // it has failed, so it has none
          throw either.reason;
        }
        if (error instanceof Refused) throw this.#refusal("no job can be taken", error);
        // Lost: the next round waits for another connection.
      }
    }
  }

  #fetchInTurn(most: number, signal: AbortSignal): Promise<Fetched> {
    const fetching = this.#turn.then(() => this.#fetch(most, signal));
    this.#turn = fetching.catch(() => {}); // whoever asked hears it
    return fetching;
  }

  async #fetch(most: number, signal: AbortSignal): Promise<Fetched> {
    for (;;) {
      const connection = await this.#ready(signal);
      const consumer = this.#consumer ?? await this.#join(connection);
      if (this.#unsure) await this.#reclaim(connection, consumer);
      this.#unsure = true;
      const args = [consumer, most, this.#settings.priority];
      const reply = await connection.run("take", this.#base, args);
      this.#unsure = false;
      if (reply === 0) {
        this.#expelled(consumer);
        continue;
      }
      const [list, next, bell] = reply as [[Uint8Array, ...Entry][], number, Uint8Array];
      const all = list.map(([lane, ...entry]) => decode(consumer, textOf(lane), entry));
      for (const job of all) this.#held.set(job, false);
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

  async #join(connection: RedisConnection): Promise<string> {
    const consumer = `${this.#me}.${++this.#consumers}`;
    await connection.run("beat", this.#base, [consumer, this.#config.visibility_timeout, 1]);
    this.#unsure = false;
    return this.#consumer = consumer;
  }

  async #reclaim(connection: RedisConnection, consumer: string): Promise<void> {
    const args: Arg[] = [consumer];
    for (const job of this.#held.keys()) {
      if (job.consumer === consumer) args.push(job.lane, job.entry);
    }
    await connection.run("reclaim", this.#base, args);
  }

  #handBack(jobs: readonly Held[]): void {
    for (const job of jobs) {
      // Only after close; and then all that was held has been handed back.
      this.settle(job, { kind: "back" }).catch(() => {});
    }
  }

  #bury(job: Garbage): void {
    const { id, reason } = job;
    const facts = { pipeline: this.#pipeline, id, reason };
    this.#emit("job_unreadable", facts);
    // Only after close; the next daemon finds it again.
    this.settle(job, { kind: "dead", error: reason }).catch(() => {});
  }

  // Ending.

  async settle(delivery: Delivery, settlement: Settlement): Promise<void> {
    if (this.#closing.signal.aborted) throw this.#closedFailure();
    const job = delivery as Held;
    if (this.#held.get(job) !== false) {
      throw new Failure(`job "${delivery.id}" of pipeline "${this.#pipeline}" was settled twice`);
    }
    this.#held.set(job, true);
    const { kind } = settlement;
    const isEnd = kind === "ack" || kind === "drop";
    const args = argsOf(job, settlement);
    await (isEnd ? this.#ends : this.#moves).add({ job, args, sent: false }, 100);
  }

  /** Until Redis has answered. */
  async #sendEndings(endings: Ending[]): Promise<void[]> {
    const args = endings.flatMap(({ args }) => args);
    const tries = freshHistory();
    for (;;) {
      try {
        const reply = await this.#run("settle", args) as number[];
        return endings.map((ending, at) => this.#ended(ending, reply[at] === 1));
      } catch (error) {
        if (this.#over.signal.aborted) throw this.#closedFailure();
        for (const ending of endings) ending.sent = true;
        if (!(error instanceof Refused)) continue;
        const retry = nextTry(SETTLE_AGAIN, tries, this.#clock.now());
        const ms = "delay" in retry ? retry.delay : SETTLE_AGAIN.max_delay;
        this.#tellTrouble(error, tries.streak);
        await sleep(this.#clock, ms, this.#over.signal);
      }
    }
  }

  #ended({ job, sent }: Ending, had: boolean): void {
    this.#held.delete(job);
    const isExpelled = job.consumer !== this.#consumer;
    // Sent twice: the first time has done it.
    if (had || (sent && !isExpelled)) return;
    const { id, name } = job;
    const error = "it is reserved for us no more: it was given to others, or removed";
    this.#emit("job_unsettled", { pipeline: this.#pipeline, job: name, id, error });
  }

  /** Once for each trouble. */
  #tellTrouble(error: Error, streak: number): void {
    if (streak > 1) return;
    const text = `what became of jobs cannot be stored, and is tried again: ${error.message}`;
    this.#emit("pipeline_down", { pipeline: this.#pipeline, driver: "redis", error: text });
  }

  // Staying alive.

  #turned(): void {
    const weakness = this.#link?.connection?.weakness;
    if (weakness !== undefined && weakness !== this.#weakness) {
      const facts = { pipeline: this.#pipeline, driver: "redis", reason: weakness };
      this.#emit("pipeline_volatile", facts);
    }
    if (this.state.state === "ready") {
      this.#weakness = weakness;
      this.#sayAlive();
    }
    this.onState?.();
  }

  #beatLater(): void {
    this.#beat.timer = this.#clock.timer(this.#config.visibility_timeout / 3, () => {
      this.#sayAlive();
      this.#beatLater();
    });
  }

  async #sayAlive(): Promise<void> {
    const connection = this.#link?.connection;
    const consumer = this.#consumer;
    if (connection === undefined || consumer === undefined || this.#beat.sending) return;
    this.#beat.sending = true;
    const args = [consumer, this.#config.visibility_timeout, 0];
    try {
      if (await connection.run("beat", this.#base, args) === 0) this.#expelled(consumer);
    } catch (error) {
      // A lost connection is said by the link; what is refused here, the next take hears too.
      if (!(error instanceof Failure || error instanceof Refused)) throw error;
    } finally {
      this.#beat.sending = false;
    }
  }

  /** What it held is others' by now. */
  #expelled(consumer: string): void {
    if (this.#consumer === consumer) this.#consumer = undefined;
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
    if (this.#closing.signal.aborted) throw this.#closedFailure();
    const late = new AbortController();
    const timer = this.#clock.timer(ASK_LIMIT, () => late.abort());
    try {
      const connection = await this.#ready(late.signal);
      return await connection.run(name, this.#base, args);
    } catch (error) {
      if (late.signal.aborted) throw this.#link?.failure() ?? error;
      throw this.#refusal("it cannot be asked", error);
    } finally {
      timer.cancel();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(this.#closedFailure());
    this.#beat.timer?.cancel();
    this.#unheard?.();
    this.#pushes.close(this.#closedFailure());
    await within(this.#clock, CLOSE_LIMIT, this.#leave());
    this.#over.abort(this.#closedFailure());
    this.#ends.close(this.#closedFailure());
    this.#moves.close(this.#closedFailure());
    await this.#bell.close();
    if (this.#link !== undefined) await this.#home.giveBack();
  }

  /** What is on its way arrives, and what is held waits again. */
  async #leave(): Promise<void> {
    await Promise.all([this.#turn, this.#ends.idle, this.#moves.idle]);
    const consumer = this.#consumer;
    if (consumer === undefined) return;
    try {
      while (await this.#run("leave", [consumer]) === 0);
    } catch (error) {
      // Then others have it after the time of visibility.
      this.#emit("jobs_left_behind", {
        pipeline: this.#pipeline,
        jobs: this.#held.size,
        reason: messageOf(error),
      });
    }
  }

  async #run(name: ScriptName, args: readonly Arg[]): Promise<Reply> {
    const connection = await this.#ready(this.#over.signal);
    return await connection.run(name, this.#base, args);
  }

  #ready(signal: AbortSignal): Promise<RedisConnection> {
    if (this.#link === undefined) {
      return Promise.reject(new Failure(`pipeline "${this.#pipeline}" is not open`));
    }
    return this.#link.ready(signal);
  }

  #refusal(what: string, error: unknown): Failure {
    if (this.#closing.signal.aborted) return this.#closedFailure();
    const isRefused = error instanceof Refused;
    const certainly = isRefused ? what : `it is not known whether ${what}`;
    return new Failure(
      `pipeline "${this.#pipeline}": ${certainly}: ${whomOf(this.#home.broker)}: ${
        messageOf(error)
      }`,
      { fix: isRefused ? "see its log" : "try again", cause: error },
    );
  }

  #closedFailure(): Failure {
    return new Failure(`pipeline "${this.#pipeline}" is closed`);
  }
}

/** What the script is told. */
function argsOf(job: Held, settlement: Settlement): Arg[] {
  const { kind } = settlement;
  const { consumer, lane, entry, id } = job;
  const place = [consumer, lane, entry];
  // What a stranger sent has no payload where it should be.
  const payload = job instanceof Garbage ? `=${textOf(job.payload)}` : "";
  switch (kind) {
    case "ack":
    case "drop":
      return ["gone", ...place, 0, 0, "", "", "", id];
    case "back":
      return ["back", ...place, 0, 0, "", "", "", id];
    case "dead":
      return [kind, ...place, 0, job.attempt, settlement.error, encodeMeta(job), payload, id];
    case "again": {
      const { delay, attempt, error = "", headers } = settlement;
      return [kind, ...place, delay, attempt, error, encodeMeta(job, headers), payload, id];
    }
  }
}
