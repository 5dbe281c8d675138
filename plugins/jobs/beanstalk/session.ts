/**
 * One connection to beanstalkd on which a pipeline's jobs are put, reserved and ended; and beside it,
 * while somebody waits, one that waits.
 *
 * beanstalkd hears nothing on a connection that waits for a job, and lets only the connection that
 * reserved a job end it. So the second one waits, holding nothing; what comes there is handed over: it
 * is released with a delay of a second, in which nobody is given it, and reserved by its number on the
 * first. If we end in between, it waits again after that second.
 *
 * | waiter  | entered by               | next                                                       |
 * | ------- | ------------------------ | ---------------------------------------------------------- |
 * | none    | –, stopWaiting()         | waiting, by arrival()                                      |
 * | waiting | arrival()                | idle, when a job came or the time is over; none            |
 * | idle    | a job, the time is over  | waiting, by arrival(); none                                |
 *
 * Invariants: the end of one of both is the end of both; a put is done for all its jobs, or taken back
 * as far as nobody has them yet.
 */

import type {
  BeanstalkBroker,
  BeanstalkConfig,
} from "../../../lib/config/roadrunner/drivers/beanstalk.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { Connection } from "../link.ts";
import { secondsOf, sizeOf } from "./codec.ts";
import type { Reply } from "./replies.ts";
import { type Command, Lost, whomOf, Wire } from "./wire.ts";

/** The first version that knows `reserve-job`. */
const OLDEST = [1, 12] as const;
/** Jobs and, but for one that is larger alone, bytes that are put without a look at what is on its way. */
const MAX_PUTS = 500;
const MAX_BYTES = 8 * 1024 * 1024;
/** Jobs that are asked for at a time, and bytes that are expected then. */
const MAX_RESERVE = 64;
const MAX_RESERVE_BYTES = 8 * 1024 * 1024;

/** An answer that says no: what was asked was not done. */
export class Refused extends Error {}

/** What to put. */
export interface Put {
  readonly tube: string;
  readonly urgency: number;
  /** Seconds. */
  readonly delay: number;
  readonly ttr: number;
  readonly body: readonly Uint8Array[];
}

/** What beanstalkd gave us. */
export interface Reserved {
  readonly number: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Where a session is made. */
export interface SessionPlace {
  readonly broker: BeanstalkBroker;
  readonly config: BeanstalkConfig;
  readonly clock: Clock;
}

/** Where the dead letters of a tube are. */
export function deadTubeOf({ tube }: BeanstalkConfig): string {
  return `${tube}.dead`;
}

/** See the file's comment. */
export class Session implements Connection {
  readonly lost: Promise<unknown>;
  /** Bytes of the largest job. */
  readonly max_size: number;
  /** It keeps its jobs in memory only. */
  readonly isVolatile: boolean;
  readonly #place: SessionPlace;
  readonly #main: Wire;
  #waiter: Wire | undefined;
  #isWaiting = false;
  #using = "default";
  /** How many jobs are asked for next, and bytes of the last that came. */
  #batch = 1;
  #size = 0;

  private constructor(place: SessionPlace, main: Wire, stats: ReadonlyMap<string, string>) {
    this.#place = place;
    this.#main = main;
    this.lost = main.lost;
    this.max_size = Number(stats.get("max-job-size"));
    this.isVolatile = stats.get("binlog-current-index") === "0";
  }

  /** @throws why there is none */
  static async dial(place: SessionPlace, signal?: AbortSignal): Promise<Session> {
    const { broker, clock, config } = place;
    const main = await Wire.dial(broker, clock, signal);
    try {
      const stats = await greet(main, whomOf(broker));
      await watch(main, config.tube);
      return new Session(place, main, stats);
    } catch (error) {
      await main.close();
      throw error;
    }
  }

  get alive(): boolean {
    return this.#main.alive;
  }

  /** Stores all of them, or none. @throws Refused; Lost */
  async put(puts: readonly Put[]): Promise<void> {
    const stored: string[] = [];
    for (let at = 0; at < puts.length;) {
      const some = neighbours(puts, at);
      at += some.length;
      await this.#main.room();
      const replies = await this.#main.ask(this.#commands(some));
      const answers = replies.filter(({ word }) => word !== "USING");
      stored.push(...answers.flatMap(({ args }) => args.slice(0, 1)));
      const bad = answers.find(({ word }) => word !== "INSERTED");
      if (bad === undefined) continue;
      await this.#main.ask(stored.map((number) => ({ line: `delete ${number}` })));
      throw new Refused(reasonOf(bad.word));
    }
  }

  /** Up to `most` that wait, at once. @throws Lost */
  async reserve(most: number): Promise<Reserved[]> {
    const fitting = Math.max(1, Math.floor(MAX_RESERVE_BYTES / Math.max(1, this.#size)));
    const count = Math.min(most, this.#batch, fitting);
    const line = "reserve-with-timeout 0";
    const all = reservedOf(await this.#main.ask(Array.from({ length: count }, () => ({ line }))));
    // As many as there seem to be: nothing is asked in vain for long.
    this.#batch = all.length === count ? Math.min(MAX_RESERVE, count * 2) : 1;
    for (const { body } of all) this.#size = body.length;
    return all;
  }

  /** Those that nobody has, whatever they wait for. @throws Lost */
  async reserveJobs(numbers: readonly string[]): Promise<(Reserved | undefined)[]> {
    const replies = await this.ask(numbers.map((number) => `reserve-job ${number}`));
    return replies.map((reply) => reservedOf([reply])[0]);
  }

  /** What beanstalkd says of a job; empty: there is none. @throws Lost */
  stats(number: string): Promise<Map<string, string>> {
    return factsOf(this.#main, `stats-job ${number}`);
  }

  /** What beanstalkd says of a tube; empty: there is none. @throws Lost */
  tube(name: string): Promise<Map<string, string>> {
    return factsOf(this.#main, `stats-tube ${name}`);
  }

  /** Commands with answers of one line. @throws Lost */
  ask(lines: readonly string[]): Promise<Reply[]> {
    return this.#main.ask(lines.map((line) => ({ line })));
  }

  /**
   * Waits for a job, as long as `reserve_timeout`. `urgencyOf`: with what number it is handed over.
   * @returns a job that is reserved here; undefined: somebody should look. @throws Lost
   */
  async arrival(
    urgencyOf: (one: Reserved) => number | undefined,
  ): Promise<Reserved | undefined> {
    const { config: { reserve_timeout } } = this.#place;
    this.#isWaiting = true;
    const waiter = this.#waiter ?? await this.#wait();
    const line = `reserve-with-timeout ${secondsOf(reserve_timeout)}`;
    const [one] = reservedOf([await waiter.one(line, reserve_timeout)]);
    if (one === undefined) return undefined;
    const { number } = one;
    const urgency = urgencyOf(one) ?? (await factsOf(waiter, `stats-job ${number}`)).get("pri");
    const { word } = await waiter.one(`release ${number} ${urgency} 1`);
    // It is still reserved there; the end of that connection gives it back.
    if (word !== "RELEASED") this.stopWaiting();
    return (await this.reserveJobs([number]))[0];
  }

  /** Nobody waits any more; what comes meanwhile stays where it is. */
  stopWaiting(): void {
    const waiter = this.#waiter;
    this.#isWaiting = false;
    this.#waiter = undefined;
    waiter?.close();
  }

  /** A connection for one piece of work with a tube. */
  async aside<T>(tube: string, work: (wire: Wire) => Promise<T>): Promise<T> {
    const wire = await this.#dial(tube);
    try {
      return await work(wire);
    } finally {
      await wire.close();
    }
  }

  /** It is given up. */
  lose(error: unknown): void {
    this.#main.lose(error);
  }

  async close(): Promise<void> {
    this.stopWaiting();
    await this.#main.close();
  }

  async #wait(): Promise<Wire> {
    const waiter = await this.#dial(this.#place.config.tube);
    if (!this.#isWaiting) {
      await waiter.close();
      throw new Lost("nobody waits any more");
    }
    this.#waiter = waiter;
    waiter.lost.then((error) => {
      if (this.#waiter === waiter) this.lose(error);
    });
    return waiter;
  }

  async #dial(tube: string): Promise<Wire> {
    const { broker, clock } = this.#place;
    const wire = await Wire.dial(broker, clock);
    try {
      await watch(wire, tube);
      return wire;
    } catch (error) {
      await wire.close();
      throw error;
    }
  }

  #commands(puts: readonly Put[]): Command[] {
    return puts.flatMap(({ tube, urgency, delay, ttr, body }) => {
      const line = `put ${urgency} ${delay} ${ttr} ${sizeOf(body)}`;
      if (tube === this.#using) return [{ line, body }];
      this.#using = tube;
      return [{ line: `use ${tube}` }, { line, body }];
    });
  }
}

/** Jobs come from that tube only. */
async function watch(wire: Wire, tube: string): Promise<void> {
  const lines = [`watch ${tube}`, ...tube === "default" ? [] : ["ignore default"]];
  for (const { word } of await wire.ask(lines.map((line) => ({ line })))) {
    if (word !== "WATCHING") throw new Failure(`beanstalkd says ${word} to watch ${tube}`);
  }
}

/** What was reserved by these answers. @throws Refused when one is none */
export function reservedOf(replies: readonly Reply[]): Reserved[] {
  return replies.flatMap(({ word, args: [number], body }) => {
    if (word === "RESERVED") return [{ number, body: body! }];
    if (NOTHING.has(word)) return [];
    throw new Refused(reasonOf(word));
  });
}

const NOTHING = new Set(["TIMED_OUT", "DEADLINE_SOON", "NOT_FOUND"]);

/** The lines `name: value` of an answer; none: what was asked for is not there. */
async function factsOf(wire: Wire, line: string): Promise<Map<string, string>> {
  const { word, body } = await wire.one(line);
  if (word === "NOT_FOUND") return new Map();
  if (body === undefined) throw new Refused(reasonOf(word));
  const lines = new TextDecoder().decode(body).split("\n");
  const pairs = lines.map((line) => /^([\w-]+): "?(.*?)"?$/.exec(line)).filter((one) =>
    one !== null
  );
  return new Map(pairs.map(([, name, value]) => [name, value]));
}

/** What it says of itself. @throws Failure when it is too old for us */
export async function greet(wire: Wire, whom: string): Promise<Map<string, string>> {
  const stats = await factsOf(wire, "stats");
  const version = stats.get("version");
  const [major, minor] = (version ?? "").split(".").map((part) => Number.parseInt(part));
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return stats;
  const is = version === undefined ? "does not say its version" : `is of version ${version}`;
  throw new Failure(`${whom} ${is}, and ${OLDEST.join(".")} is the oldest that we know`, {
    fix: "install a newer beanstalkd",
  });
}

/** Those from `at` on that are put together. */
function neighbours(puts: readonly Put[], at: number): readonly Put[] {
  let end = at;
  let bytes = 0;
  do bytes += sizeOf(puts[end++].body); while (
    end < puts.length && end - at < MAX_PUTS && bytes + sizeOf(puts[end].body) <= MAX_BYTES
  );
  return puts.slice(at, end);
}

/** What its word means, for people. */
function reasonOf(word: string): string {
  return REASONS[word] ?? `beanstalkd says ${word}`;
}

const REASONS: Readonly<Record<string, string>> = {
  BURIED: "beanstalkd has no memory for it",
  DRAINING: "beanstalkd takes no more jobs (it was told to drain)",
  INTERNAL_ERROR: "beanstalkd says that it has an error of its own (INTERNAL_ERROR)",
  JOB_TOO_BIG: "beanstalkd's largest job is smaller (option -z)",
  OUT_OF_MEMORY: "beanstalkd has no memory, or cannot write its log (option -b)",
};
