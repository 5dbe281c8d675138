/**
 * Jobs in a stream of NATS JetStream.
 *
 * | a job is | lies in                                    | until                                       |
 * | -------- | ------------------------------------------ | ------------------------------------------- |
 * | waiting  | its stream                                 | a pull of somebody gets it                  |
 * | delayed  | the stream of delayed jobs                 | its time has come (delayed.ts)              |
 * | reserved | its stream, pending at the consumer        | settled; or `ack_wait` after we vanished    |
 * | dead     | the stream of dead letters                 | somebody retries or drops it                |
 *
 * Invariants: push() resolves when the server has confirmed every job; a settlement is tried until
 * the server has confirmed it; a job that the server shows again while we have it is given to nobody;
 * what is reserved and not settled at the end goes back.
 */

import type { NatsConfig } from "../../../lib/config/roadrunner/drivers/nats.ts";
import type { PipelineConfig } from "../../../lib/config/roadrunner/jobs.ts";
import { within } from "../../../lib/core/clock.ts";
import { formatDuration } from "../../../lib/core/duration.ts";
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
import { CLOSE_LIMIT, Link } from "../link.ts";
import { SettleTries } from "../settle_tries.ts";
import { consumerInfo, deleteStream } from "./api.ts";
import { decode, dueOf, jobOf } from "./codec.ts";
import { Lost, type NatsConnection, type Question } from "./connection.ts";
import { deadCount, deadJobs, dropDead, retryDead } from "./dead.ts";
import { lookAfterDelayed, sequenceOf } from "./delayed.ts";
import { type Places, placesOf } from "./names.ts";
import { BACK } from "./pull.ts";
import { Reservations, Reserved } from "./reserved.ts";
import { Session } from "./session.ts";
import { push } from "./push.ts";
import { settle } from "./settle.ts";
import type { Terms } from "./terms.ts";

/** What it can; `priority` travels with a job and is not served by it. */
export const CAN: Abilities = {
  delay: true,
  priority: false,
  dead: true,
  unique: true,
  durable: true,
};

/** A connection that several pipelines share. */
export interface Shared {
  readonly link: Link<NatsConnection>;
  giveBack(): Promise<void>;
}

/** See the file's comment. */
export class NatsDriver implements Driver {
  readonly can = CAN;
  onState: (() => void) | undefined;
  readonly #pipeline: string;
  #settings: PipelineConfig;
  readonly #config: NatsConfig;
  readonly #places: Places;
  readonly #host: DriverHost;
  readonly #borrow: () => Shared;
  #shared: Shared | undefined;
  #unwatch: (() => void) | undefined;
  readonly #link: Link<Session>;
  readonly #reserved: Reservations;
  /** Places of jobs that went back and were not seen since, with the time until they count. */
  readonly #back = new Map<number, number>();
  readonly #takes = new InTurn();
  readonly #closing: Closing;

  constructor(
    pipeline: string,
    settings: PipelineConfig,
    host: DriverHost,
    whom: string,
    borrow: () => Shared,
  ) {
    this.#pipeline = pipeline;
    this.#closing = new Closing(pipeline);
    this.#settings = settings;
    this.#config = settings.config as NatsConfig;
    this.#places = placesOf(this.#config);
    this.#host = host;
    this.#borrow = borrow;
    const { clock } = host;
    this.#link = new Link({
      whom,
      fix: "see whether nats-server runs with jetstream, and whether nats.addr is right",
      limit: Infinity,
      dial: async (signal) => this.#opened(await this.#shared!.link.ready(signal)),
    }, clock);
    this.#reserved = new Reservations(clock, this.#config.ack_wait, ({ reply }) => {
      const { connection } = this.#link.connection ?? {};
      if (connection?.alive) connection.tell(reply, "+WPI");
    });
  }

  get state(): DriverState {
    const shared = this.#shared?.link.state;
    return shared === undefined || shared.state === "ready" ? this.#link.state : shared;
  }

  open(): Promise<void> {
    if (this.#shared !== undefined || this.#closing.hasBegun) return Promise.resolve();
    this.#shared = this.#borrow();
    const changed = () => this.onState?.();
    this.#unwatch = this.#shared.link.onState(changed);
    this.#link.onState(() => {
      // The server has not heard of what we have while the connection was away.
      if (this.#link.connection !== undefined) this.#reserved.keepAll();
      changed();
    });
    this.#link.open();
    return Promise.resolve();
  }

  configure(settings: PipelineConfig): void {
    this.#settings = settings;
  }

  async push(jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    this.#closing.check();
    const session = await this.#reached(this.#link.reach(signal));
    await push(session, jobs, this.#terms, signal);
  }

  take(most: number, signal: AbortSignal): Promise<Delivery[]> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#closing.hasBegun) return Promise.reject(this.#closing.failure());
    // Nothing may come between the end of a pull and whoever asked: its jobs would be nobody's.
    return this.#takes.run(() => this.#take(most, signal), signal);
  }

  async settle(delivery: Delivery, settlement: Settlement): Promise<void> {
    this.#closing.check();
    const job = delivery as Reserved;
    if (job.settling) throw this.#closing.settledTwice(job);
    job.settling = true;
    const { clock, emit } = this.#host;
    const over = this.#closing.signal;
    const tries = new SettleTries({ pipeline: this.#pipeline, driver: "nats", clock, emit, over });
    for (;;) {
      try {
        const session = await this.#link.ready();
        // It may come again before the answer does.
        if (settlement.kind === "back") this.#goesBack(job);
        await settle(session, job, settlement, this.#terms);
        return this.#reserved.delete(job);
      } catch (error) {
        await tries.again(error instanceof Lost ? undefined : error);
      }
    }
  }

  async stat(): Promise<DriverStat> {
    const { connection, places } = await this.#asked();
    const [main, later, dead] = await Promise.all([
      consumerInfo(connection, places.stream, places.consumer),
      consumerInfo(connection, places.delayed, places.consumer),
      deadCount(connection, places),
    ]);
    if (main === undefined || later === undefined) throw this.#link.failure();
    const now = this.#host.clock.now();
    for (const [seq, until] of this.#back) if (until < now) this.#back.delete(seq);
    const back = Math.min(this.#back.size, main.num_ack_pending);
    return {
      waiting: main.num_pending + back,
      delayed: later.num_pending + later.num_ack_pending,
      reserved: main.num_ack_pending - back,
      dead,
    };
  }

  async dead(most: number, after?: string): Promise<DeadJob[]> {
    const { connection, places } = await this.#asked();
    return await deadJobs(connection, places, this.#host.clock, most, after);
  }

  async retry(id: string): Promise<boolean> {
    const { connection, places } = await this.#asked();
    return await retryDead(connection, places, this.#pipeline, id);
  }

  async drop(id: string): Promise<boolean> {
    const { connection, places } = await this.#asked();
    return await dropDead(connection, places, id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = this.#link.connection;
    if (!this.#closing.begin()) return;
    this.#unwatch?.();
    const { clock, emit } = this.#host;
    const jobs = this.#reserved.all().length;
    const said = session !== undefined && await within(clock, CLOSE_LIMIT, this.#goodbye(session));
    if (jobs > 0 && !(said && said.done && said.value)) {
      const reason = `NATS is away; they come again within ${
        formatDuration(this.#config.ack_wait)
      }`;
      emit("jobs_left_behind", { pipeline: this.#pipeline, jobs, reason });
    }
    this.#reserved.clear();
    await this.#link.close();
    await this.#shared?.giveBack();
  }

  /** Bounded by its caller. Never rejects. @returns whether the server has heard it */
  async #goodbye({ connection, places, waiting }: Session): Promise<boolean> {
    try {
      waiting.end(new Lost("closed"));
      for (const { reply } of this.#reserved.all()) connection.tell(reply, BACK);
      if (this.#config.delete_stream_on_stop) {
        await deleteStream(connection, places.stream);
        await deleteStream(connection, places.delayed);
      }
      await connection.flush();
      return true;
    } catch {
      // The server is away, and the caller says so.
      return false;
    }
  }

  get #terms(): Terms {
    return {
      pipeline: this.#pipeline,
      clock: this.#host.clock,
      deletes: this.#config.delete_after_ack === true,
      window: this.#settings.unique?.window,
    };
  }

  /** A new session goes on with what we have. */
  async #opened(connection: NatsConnection): Promise<Session> {
    const { clock, emit } = this.#host;
    const places = this.#places;
    const session = await Session.open(connection, places, this.#config, clock);
    const jobs = this.#reserved.forget(session.created);
    if (jobs > 0) {
      const reason = `its stream ${JSON.stringify(places.stream)} was deleted at NATS`;
      emit("jobs_lost", { pipeline: this.#pipeline, jobs, reason });
    }
    if (session.reminded > 0) {
      emit("pipeline_reminded", {
        pipeline: this.#pipeline,
        driver: "nats",
        jobs: session.reminded,
      });
    }
    this.#back.clear();
    lookAfterDelayed(session, clock);
    return session;
  }

  async #take(most: number, signal: AbortSignal): Promise<Delivery[]> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    for (;;) {
      const session = await this.#link.ready(either);
      try {
        const messages = await session.waiting.pull(most, either);
        const jobs: Delivery[] = [];
        for (const message of messages) {
          const job = this.#reserve(message, session);
          if (job !== undefined) jobs.push(job);
        }
        if (jobs.length > 0) return jobs;
      } catch (error) {
        if (either.aborted || !(error instanceof Lost)) throw error;
      }
    }
  }

  /** A message as a job that we have; undefined: it is none now. */
  #reserve(
    message: { data: Uint8Array; subject: string; reply?: string; headers?: Question["headers"] },
    session: Session,
  ): Reserved | undefined {
    const { data, subject, reply, headers } = message;
    const seq = sequenceOf(reply!);
    this.#back.delete(seq);
    const known = this.#reserved.get(seq);
    if (known !== undefined) {
      // It was too late to say so, or the connection was away: we have it still.
      known.reply = reply!;
      session.connection.tell(known.reply, "+WPI");
      return undefined;
    }
    const job = new Reserved(
      jobOf(decode(data, subject, headers, this.#settings.priority)),
      seq,
      reply!,
      session.created,
    );
    this.#reserved.add(job);
    const delay = dueOf(headers) - this.#host.clock.wall();
    if (delay <= 0) return job;
    const { attempt, error, headers: own } = job;
    this.settle(job, { kind: "again", delay, attempt, error, headers: own }).catch(() => {
      // Closed: it went back with the rest.
    });
  }

  #goesBack(job: Reserved): void {
    this.#reserved.delete(job);
    this.#back.set(job.seq, this.#host.clock.now() + this.#config.ack_wait);
  }

  /** For questions. @throws Failure */
  async #asked(): Promise<Session> {
    this.#closing.check();
    return await this.#reached(this.#link.soon());
  }

  /** @throws Failure of the connection, where it is why there is no session */
  async #reached(session: Promise<Session>): Promise<Session> {
    try {
      return await session;
    } catch (error) {
      this.#closing.check();
      const link = this.#shared?.link;
      throw link === undefined || link.state.state === "ready" ? error : link.failure();
    }
  }
}
