/**
 * The schedules of the configuration that is in force.
 *
 * Invariant: one runs exactly while it is configured and the daemon takes work; what it remembers
 * survives a change of anything but its cron line and zone.
 */

import { join } from "@std/path";
import type { ScheduleConfig } from "../../../lib/config/roadrunner/jobs_schedules.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import { own } from "../../../lib/core/own.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import type { JobsEngine, ScheduleInfo } from "../engine.ts";
import { Book, type Entry } from "./book.ts";
import { Schedule } from "./schedule.ts";

/** What they live in. */
export interface SchedulesHost {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly state_dir: string;
  push: JobsEngine["push"];
}

/** See the file's comment. */
export class Schedules implements AsyncDisposable {
  readonly #host: SchedulesHost;
  readonly #book: Book;
  readonly #all = new Map<string, Schedule>();
  #kept: Record<string, Entry> | undefined;
  #ended = false;

  constructor(host: SchedulesHost) {
    this.#host = host;
    this.#book = new Book(
      join(host.state_dir, "schedules.json"),
      ({ message }) => host.emit("schedules_unkept", { error: message }),
    );
  }

  infos(): ScheduleInfo[] {
    return [...this.#all.values()].map(({ info }) => info);
  }

  /** These are in force from now on. */
  configure(schedules: Readonly<Record<string, ScheduleConfig>>): void {
    if (this.#ended) return;
    const wanted = Object.entries(schedules);
    if (this.#all.size === 0 && wanted.length === 0) return;
    const kept = this.#kept ??= this.#book.read();
    for (const [name, schedule] of this.#all) {
      const next = own(schedules, name);
      if (next !== undefined && hasSameRuns(schedule.config, next)) {
        schedule.config = next;
        continue;
      }
      schedule.end();
      this.#all.delete(name);
    }
    for (const name of Object.keys(kept)) {
      if (!Object.hasOwn(schedules, name)) delete kept[name];
    }
    const now = this.#host.clock.wall();
    for (const [name, config] of wanted) {
      const { cron, timezone } = config;
      const entry = own(kept, name);
      if (entry === undefined || !hasSameRuns(entry, config)) {
        kept[name] = { cron, timezone, last: now };
      }
      if (!this.#all.has(name)) this.#all.set(name, this.#start(name, config, kept[name]));
    }
    this.#book.write(kept);
  }

  /** Nothing is pushed any more. */
  stop(): void {
    this.#ended = true;
    for (const schedule of this.#all.values()) schedule.end();
    this.#all.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#book.flush();
  }

  #start(name: string, config: ScheduleConfig, entry: Entry): Schedule {
    const { clock, emit, push } = this.#host;
    const settled = (last: number) => {
      entry.last = last;
      this.#book.write(this.#kept!);
    };
    return new Schedule(name, config, { clock, emit, push, settled }, entry.last);
  }
}

function hasSameRuns(a: Runs, b: Runs): boolean {
  return a.cron === b.cron && a.timezone === b.timezone;
}

type Runs = Pick<ScheduleConfig, "cron" | "timezone">;
