/**
 * How long a worker may take with what it does now.
 *
 * | it …                        | may take           | then it is        |
 * | --------------------------- | ------------------ | ----------------- |
 * | takes a request in          | `allocate_timeout` | deaf (only without exec_ttl) |
 * | answers, or adds a part     | `exec_ttl`         | overdue           |
 * | waits for a taker of parts  | for ever           |                   |
 * | ends a cancelled stream     | `stream_timeout`   | stuck             |
 * | answers a self-probe        | ten seconds        | deaf              |
 * | says what nobody asked for  | one second         | broken            |
 * | finishes, replaced          | what leave() said  | late              |
 *
 * Invariant: it only keeps moments; whoever owns it looks. Times are clock milliseconds.
 */

import { formatDuration } from "../core/duration.ts";
import type { Departure } from "./home.ts";
import type { PoolErrorKind, PoolSettings } from "./types.ts";

/** How long an idle worker may take to answer a self-probe. */
const PROBE_LIMIT = 10_000;

/** How long the rest of what nobody asked for may take to come: it is shown, that is all it is good for. */
const STRAY_LIMIT = 1_000;

/** What a worker takes too long with. */
export type Overdue = "send" | "answer" | "cancel" | "probe" | "stray" | "leave";

/** What becomes of who took too long. */
export interface Verdict {
  departure: Departure;
  kind: PoolErrorKind;
  message: string;
}

const VERDICTS: Readonly<Record<Overdue, Verdict>> = {
  send: verdict("deaf", "died", "stopped reading: the request was not taken"),
  answer: verdict("exec_ttl", "timeout", "did not answer within exec_ttl"),
  cancel: verdict("stream", "broken", "did not end a cancelled stream"),
  probe: verdict("deaf", "died", "no longer answers: the self-probe failed"),
  stray: verdict("broken", "broken", "sent a part of what nobody asked for"),
  leave: verdict("exec_ttl", "timeout", "was replaced, and did not answer in time"),
};

function verdict(departure: Departure, kind: PoolErrorKind, what: string): Verdict {
  return { departure, kind, message: `the worker ${what}` };
}

/** See the file's comment. */
export class Patience {
  #with: Exclude<Overdue, "leave"> = "answer";
  #until = Infinity;
  #leaveBy = Infinity;
  /** Of the request it has; undefined: the pool's. */
  #limit: number | undefined;
  readonly #settings: () => PoolSettings;
  readonly #due: (at: number) => void;

  /** `due`: told each moment at which somebody has to look. */
  constructor(settings: () => PoolSettings, due: (at: number) => void) {
    this.#settings = settings;
    this.#due = due;
  }

  /** When somebody has to look. */
  get deadline(): number {
    return Math.min(this.#until, this.#leaveBy);
  }

  /** It gets a request, which may have a limit of its own. */
  asked(now: number, limit?: number): void {
    this.#limit = limit;
    const exec_ttl = this.#execTtl;
    if (exec_ttl > 0) this.#set("answer", now + exec_ttl);
    else this.#set("send", now + this.#settings().allocate_timeout);
  }

  /** It has taken its request in. */
  sent(): void {
    if (this.#with === "send") this.#until = Infinity;
  }

  /** It is waited for (again): a part came, or the taker of parts came back. */
  awaited(now: number): void {
    const exec_ttl = this.#execTtl;
    if (this.#with !== "cancel" && exec_ttl > 0) this.#set("answer", now + exec_ttl);
  }

  /** It has to wait for the taker of parts. */
  paused(): void {
    if (this.#with !== "cancel") this.#until = Infinity;
  }

  /** It was told that nobody wants the rest. */
  cancelled(now: number): void {
    this.#set("cancel", now + this.#settings().stream_timeout);
  }

  /** It was asked whether it still listens. */
  probed(now: number): void {
    this.#set("probe", now + PROBE_LIMIT);
  }

  /** It says what nobody asked for. */
  strayed(now: number): void {
    this.#set("stray", now + STRAY_LIMIT);
  }

  /** It is done. */
  over(): void {
    this.#until = Infinity;
  }

  /** It shall be done by then. */
  leave(by: number): void {
    this.#leaveBy = by;
    this.#due(by);
  }

  /** Its end has begun. */
  end(): void {
    this.#until = this.#leaveBy = Infinity;
  }

  /** What it has taken too long with; told once. */
  look(now: number): Overdue | undefined {
    if (now >= this.#leaveBy) {
      this.#leaveBy = Infinity;
      return "leave";
    }
    if (now < this.#until) return undefined;
    this.#until = Infinity;
    return this.#with;
  }

  /** What is to be said of it. */
  verdict(overdue: Overdue): Verdict {
    const verdict = VERDICTS[overdue];
    if (overdue !== "answer") return verdict;
    const limit = formatDuration(this.#execTtl);
    if (this.#limit === undefined) return { ...verdict, message: `${verdict.message} (${limit})` };
    return { ...verdict, message: `the worker did not answer within the request's own ${limit}` };
  }

  get #execTtl(): number {
    return this.#limit ?? this.#settings().supervisor.exec_ttl;
  }

  #set(what: Exclude<Overdue, "leave">, until: number): void {
    this.#with = what;
    this.#until = until;
    this.#due(until);
  }
}
